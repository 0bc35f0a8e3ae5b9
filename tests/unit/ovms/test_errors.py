"""The tree of errors, and their sentences."""

import pytest

from ovms import errors


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (errors.LineTooLong(1024), "a line of more than 1024 bytes"),
        (errors.BadWelcome(), "the first line is not a welcome"),
        (errors.UnsupportedScheme(), "unsupported protection scheme"),
        (errors.TokenReplayed(), "the peer's token is the server's own"),
        (errors.WrongCredentials(), "unknown vehicle or wrong password"),
        (errors.Undecodable(), "a line that does not decode to a message"),
        (errors.TimedOut("welcome", 30.0), "no welcome for 30 s"),
    ],
)
def test_what_the_peer_did_wrong_is_a_sentence(error: errors.ProtocolError, sentence: str) -> None:
    assert isinstance(error, errors.ProtocolError)
    assert str(error) == sentence


def test_the_tree() -> None:
    assert issubclass(errors.ProtocolError, errors.OvmsError)
    assert issubclass(errors.IdentityError, errors.OvmsError)
    assert not issubclass(errors.StateError, errors.ProtocolError)


def test_every_error_of_a_peer_is_told_here() -> None:
    told = {name for name in dir(errors) if name in (errors.__doc__ or "")}
    assert {error.__name__ for error in errors.ProtocolError.__subclasses__()} <= told
