"""The tokens of the server's side of a login."""

from binascii import a2b_base64

from car_protocol.logins.desk import TOKENS_AT_ONCE, ServerTokens


def test_server_tokens_are_128_random_bits_and_never_repeat() -> None:
    tokens = ServerTokens()
    made = [tokens.new() for _ in range(3 * TOKENS_AT_ONCE)]
    assert len(set(made)) == len(made)
    assert all(len(token) == 22 and len(a2b_base64(token + b"==")) == 16 for token in made)
