"""A client's end of a connection."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovms.errors import BadWelcome, LineTooLong, ProtocolError, StateError, TokenReplayed, Undecodable, WrongCredentials
from ovms.identity import Role
from ovms.protocol.client import LINE_LIMIT, ClientSession, Welcomed
from ovms.protocol.events import Failed
from ovms.protocol.states import CLIENT_TRANSITIONS, ClientInput, ClientState
from ovms.protocol.welcome import write_answer
from unit.ovms.protocol.sessions import ANSWER, CLIENT_TOKEN, GARBAGE, SECRET, VEHICLE, cipher, client
from unit.ovms.protocol.transcripts import NAMES, Transcript, transcript

Event = Welcomed | Failed | bytes


def begun(told: Transcript) -> ClientSession:
    kind, _, token, _, vehicle_id = told.car.lines[0].decode().split()
    return ClientSession(Role(kind[3:]), vehicle_id, told.secret, token.encode())


def errors(events: list[Event]) -> list[type[ProtocolError]]:
    return [type(event.error) for event in events if isinstance(event, Failed)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 64 * 1024])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_session_of_openssl_is_read_and_spoken_alike(name: str, size: int, end: bytes) -> None:
    expected = transcript(name)
    session = begun(expected)
    stream = expected.srv.stream.replace(b"\r\n", end)
    for start in range(0, len(stream), size):
        session.receive_data(stream[start : start + size])
    assert session.events() == [Welcomed(), *expected.srv.messages]
    assert session.events() == []

    for message in expected.car.messages:
        session.send(message)
    # One of the transcripts has a digest without padding, which we never send.
    first, rest = session.data_to_send().split(b"\r\n", 1)
    told_first, told_rest = expected.car.stream.split(b"\r\n", 1)
    assert [word.rstrip(b"=") for word in first.split()] == [word.rstrip(b"=") for word in told_first.split()]
    assert rest == told_rest
    assert session.data_to_send() == b""


# ---- every state, every input

PAIRS = list(itertools.product(ClientState, ClientInput))


def named(pair: object) -> str:
    return getattr(pair, "name", "")


@pytest.mark.parametrize(("state", "given_"), PAIRS, ids=named)
def test_every_step_of_the_table_and_no_other(state: ClientState, given_: ClientInput) -> None:
    session = client(state)
    if (following := CLIENT_TRANSITIONS.get((state, given_))) is not None:
        session._step(given_)
        assert session.state is following
    else:
        with pytest.raises(StateError, match=f"{given_.name} is not allowed in {state.name}"):
            session._step(given_)
        assert session.state is state


@pytest.mark.parametrize("state", ClientState)
def test_a_message_is_sent_when_ready_only(state: ClientState) -> None:
    session = client(state)
    if state is ClientState.READY:
        session.send(b"S1")
        assert cipher().open(session.data_to_send()) == b"S1"
    else:
        with pytest.raises(StateError, match=f"SEND is not allowed in {state.name}"):
            session.send(b"S1")
        assert session.data_to_send() == b""


@pytest.mark.parametrize("state", ClientState)
def test_the_end_of_the_stream_ends_every_session(state: ClientState) -> None:
    session = client(state)
    session.receive_eof()
    assert session.state is ClientState.CLOSED
    session.receive_data(ANSWER)
    assert session.events() == []


@pytest.mark.parametrize(
    ("state", "following", "reported"),
    [
        (ClientState.AWAITING_ANSWER, ClientState.READY, []),
        (ClientState.READY, ClientState.CLOSED, [Undecodable]),
        (ClientState.CLOSED, ClientState.CLOSED, []),
    ],
)
def test_an_answer_means_something_only_where_it_is_awaited(
    state: ClientState, following: ClientState, reported: list[type[ProtocolError]]
) -> None:
    session = client(state)
    session.receive_data(ANSWER)
    assert session.state is following
    assert errors(session.events()) == reported


@pytest.mark.parametrize("state", [ClientState.AWAITING_ANSWER, ClientState.READY])
def test_garbage_ends_a_session_once(state: ClientState) -> None:
    session = client(state)
    session.receive_data(GARBAGE)
    session.receive_data(GARBAGE)
    assert len(errors(session.events())) == 1
    assert session.state is ClientState.CLOSED


# ---- login


def test_the_welcome_is_there_to_be_sent_at_once() -> None:
    session = ClientSession(Role.CAR, VEHICLE, SECRET, CLIENT_TOKEN)
    assert session.data_to_send() == b"MP-C 0 AbCdEfGhIjKlMnOpQrStUv 9/O32Bkim3ovD9vF/WeY1w== DEMO\r\n"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (write_answer(b"0123456789abcdefghijkl", b"another secret"), WrongCredentials),
        (write_answer(CLIENT_TOKEN, SECRET), TokenReplayed),
        (b"MP-S 0 0123456789abcdefghijkl AAAA\r\n", WrongCredentials),
        (b"MP-S 1 demo DEMO DEMO\r\n", BadWelcome),
        (b"HTTP/1.1 400 Bad Request\r\n", BadWelcome),
        (b"\r\n", BadWelcome),
        (b"x" * (LINE_LIMIT + 1), LineTooLong),
    ],
)
def test_a_server_that_does_not_prove_itself_fails(answer: bytes, error: type[ProtocolError]) -> None:
    session = ClientSession(Role.CAR, VEHICLE, SECRET, CLIENT_TOKEN)
    session.receive_data(answer + ANSWER)
    assert errors(session.events()) == [error]
    assert session.state is ClientState.CLOSED


@given(pieces=st.lists(st.binary(max_size=100), max_size=6), is_ready=st.booleans())
@settings(max_examples=100, deadline=None)
def test_no_bytes_at_all_are_a_bug(pieces: list[bytes], is_ready: bool) -> None:
    session = client(ClientState.READY if is_ready else ClientState.AWAITING_ANSWER)
    seen: list[Event] = []
    for piece in pieces:
        session.receive_data(piece)
        seen += session.events()
    assert len(errors(seen)) <= 1
    if errors(seen):
        assert isinstance(seen[-1], Failed)
        assert session.state is ClientState.CLOSED
