"""The server's end of a connection."""

import gc
import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovms.errors import (
    BadWelcome,
    LineTooLong,
    ProtocolError,
    StateError,
    TimedOut,
    TokenReplayed,
    Undecodable,
    UnsupportedScheme,
)
from ovms.identity import Role
from ovms.protocol.events import Failed
from ovms.protocol.server import EARLY_LIMIT, LINE_LIMITS, MOST_REQUESTS, WELCOME_LIMIT, Event, ServerSession
from ovms.protocol.states import TRANSITIONS, Input, State
from ovms.protocol.timers import Timeouts
from ovms.protocol.welcome import NOT_PROVISIONED, Login, ProvisionRequest, UserLogin
from unit.ovms.protocol.sessions import (
    ANSWER,
    CLIENT_TOKEN,
    GARBAGE,
    REQUEST,
    SECRET,
    SERVER_TOKEN,
    START,
    TIMES,
    cipher,
    server,
    welcome,
)
from unit.ovms.protocol.transcripts import NAMES, PROVISIONING, Transcript, transcript


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def play(pieces: Iterable[bytes], session_of: Transcript) -> tuple[ServerSession, list[Event]]:
    """Feed a session, answer its login, and return it with all that it reported."""
    session, seen = ServerSession(START, TIMES), list[Event]()
    for piece in pieces:
        session.receive_data(piece, START)
        for event in session.events():
            seen.append(event)
            if isinstance(event, Login):
                assert event.proves(session_of.secret)
                session.accept(session_of.secret, session_of.server_token, START)
        seen += session.events()
    return session, seen


def errors(events: Iterable[Event]) -> list[type[ProtocolError]]:
    return [type(event.error) for event in events if isinstance(event, Failed)]


def lines(*messages: bytes) -> bytes:
    """What a client of a ready session sends."""
    seal = cipher().seal
    return b"".join(map(seal, messages))


# ---- whole sessions, made by openssl


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 64 * 1024])
def test_a_session_of_openssl_is_read_and_answered_alike(name: str, size: int) -> None:
    expected = transcript(name)
    session, seen = play(cut(expected.car.stream, size), expected)
    assert isinstance(seen[0], Login)
    assert seen[1:] == expected.car.messages

    for message in expected.srv.messages:
        session.send(message, START)
    assert session.data_to_send() == expected.srv.stream
    assert session.data_to_send() == b""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 7, 64 * 1024])
def test_line_feeds_alone_do(name: str, size: int) -> None:
    expected = transcript(name)
    _, seen = play(cut(expected.car.stream.replace(b"\r\n", b"\n"), size), expected)
    assert seen[1:] == expected.car.messages


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_trailing_data_waits_for_its_end(size: int) -> None:
    expected = transcript(NAMES[1])
    half = len(expected.car.lines[-1]) // 2
    session, seen = play(cut(expected.car.stream[: -half - 2], size), expected)
    assert seen[1:] == expected.car.messages[:-1]
    session.receive_data(expected.car.stream[-half - 2 :] + b"AAA", START)
    assert session.events() == expected.car.messages[-1:]


@given(cuts=st.lists(st.integers(0, 2000), max_size=20))
@settings(max_examples=60, deadline=None)
def test_the_cuts_of_the_stream_do_not_matter(cuts: list[int]) -> None:
    expected = transcript(NAMES[1])
    edges = [0, *sorted(cuts), len(expected.car.stream)]
    pieces = [expected.car.stream[start:end] for start, end in itertools.pairwise(edges)]
    _, seen = play(pieces, expected)
    assert seen[1:] == expected.car.messages


# ---- every state, every input

PAIRS = list(itertools.product(State, Input))
THE_PEERS = (Input.WELCOME, Input.PROVISION, Input.FAIL)
"""What no method asks for: it follows from what a peer sends, or does not send."""


def named(pair: object) -> str:
    return getattr(pair, "name", "")


@pytest.mark.parametrize(("state", "given_"), PAIRS, ids=named)
def test_every_step_of_the_table_and_no_other(state: State, given_: Input) -> None:
    session = ServerSession(START, TIMES)
    session.state = state
    if (following := TRANSITIONS.get((state, given_))) is not None:
        session._step(given_)
        assert session.state is following
    else:
        with pytest.raises(StateError, match=f"{given_.name} is not allowed in {state.name}"):
            session._step(given_)
        assert session.state is state


@pytest.mark.parametrize(("state", "given_"), [pair for pair in PAIRS if pair[1] not in THE_PEERS], ids=named)
def test_what_we_ask_of_a_session(state: State, given_: Input) -> None:
    session = server(state)
    ask = {
        Input.ACCEPT: lambda: session.accept(SECRET, SERVER_TOKEN, START),
        Input.ANSWER: lambda: session.provision_nothing(START),
        Input.REJECT: session.reject,
        Input.SEND: lambda: session.send(b"Z0", START),
        Input.CLOSE: session.close,
    }[given_]
    if (following := TRANSITIONS.get((state, given_))) is not None:
        ask()
        assert session.state is following
    else:
        with pytest.raises(StateError, match=f"{given_.name} is not allowed in {state.name}"):
            ask()
        assert session.state is state
    assert session.events() == []


@pytest.mark.parametrize(
    ("state", "following", "reported"),
    [
        (State.AWAITING_WELCOME, State.AUTHENTICATING, []),
        (State.AUTHENTICATING, State.AUTHENTICATING, []),
        (State.PROVISIONING, State.PROVISIONING, []),
        (State.READY, State.CLOSED, [Undecodable]),
        (State.CLOSED, State.CLOSED, []),
    ],
)
def test_a_welcome_means_something_only_where_it_is_awaited(
    state: State, following: State, reported: list[type[ProtocolError]]
) -> None:
    session = server(state)
    session.receive_data(welcome(), START)
    assert session.state is following
    assert errors(session.events()) == reported


@pytest.mark.parametrize(
    ("state", "following", "reported"),
    [
        (State.AWAITING_WELCOME, State.PROVISIONING, []),
        (State.AUTHENTICATING, State.AUTHENTICATING, []),
        (State.PROVISIONING, State.PROVISIONING, []),
        (State.READY, State.CLOSED, [Undecodable]),
        (State.CLOSED, State.CLOSED, []),
    ],
)
def test_a_request_means_something_only_where_it_is_awaited(
    state: State, following: State, reported: list[type[ProtocolError]]
) -> None:
    session = server(state)
    session.receive_data(REQUEST, START)
    assert session.state is following
    assert errors(session.events()) == reported


@pytest.mark.parametrize(
    ("state", "reported"),
    [
        (State.AWAITING_WELCOME, [TimedOut]),
        (State.AUTHENTICATING, [TimedOut]),
        (State.PROVISIONING, [TimedOut]),
        (State.READY, [TimedOut]),
        (State.CLOSED, []),
    ],
)
def test_silence_ends_every_session_once(state: State, reported: list[type[ProtocolError]]) -> None:
    session = server(state)
    session.handle_timer(START + 10_000)
    assert session.state is State.CLOSED
    assert errors(session.events()) == reported
    session.handle_timer(START + 20_000)
    assert session.events() == []
    assert session.data_to_send() == b""


@pytest.mark.parametrize("state", State)
def test_the_end_of_the_stream_ends_every_session(state: State) -> None:
    session = server(state)
    session.receive_eof()
    assert session.state is State.CLOSED
    assert session.events() == []


# ---- login


@pytest.mark.parametrize("role", Role)
def test_a_login_is_reported_and_answered(role: Role) -> None:
    session = ServerSession(START, TIMES)
    session.receive_data(welcome(role), START)
    [login] = session.events()
    assert isinstance(login, Login)
    assert (login.role, login.vehicle_id, login.token) == (role, "DEMO", CLIENT_TOKEN)
    assert session.data_to_send() == b""
    session.accept(SECRET, SERVER_TOKEN, START)
    assert session.data_to_send() == ANSWER
    assert session.state is State.READY


def test_a_refused_login_is_answered_with_nothing() -> None:
    session = server(State.AUTHENTICATING)
    session.reject()
    session.receive_data(GARBAGE, START)
    assert session.state is State.CLOSED
    assert session.data_to_send() == b""
    assert session.events() == []
    assert session.next_timer() is None


def test_a_token_of_our_own_is_a_reflection() -> None:
    session = ServerSession(START, TIMES)
    session.receive_data(welcome(token=SERVER_TOKEN), START)
    session.events()
    session.accept(SECRET, SERVER_TOKEN, START)
    assert errors(session.events()) == [TokenReplayed]
    assert session.state is State.CLOSED
    assert session.data_to_send() == b""


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"HELLO THERE\r\n", BadWelcome),
        (b"\r\n", BadWelcome),
        (b"\n", BadWelcome),
        (b"GET / HTTP/1.1\r\n", BadWelcome),
        (b"MP-C 9 abc AAAA DEMO\r\n", UnsupportedScheme),
        (b"MP-C 0 abc A DEMO\r\n", BadWelcome),
        (b"x" * (WELCOME_LIMIT + 1), LineTooLong),
        (b"MP-C 0 abc AAAA DEMO " + b"x" * WELCOME_LIMIT + b"\r\n", LineTooLong),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_first_line_that_is_no_welcome_fails(line: bytes, error: type[ProtocolError], size: int) -> None:
    session = ServerSession(START, TIMES)
    for piece in cut(line + b"MP-C 0 abc AAAA DEMO\r\n", size):
        session.receive_data(piece, START)
    assert errors(session.events()) == [error]
    assert session.state is State.CLOSED


def test_a_first_line_of_the_limit_is_read() -> None:
    line = b"MP-C 0 abc AAAA DEMO "
    session = ServerSession(START, TIMES)
    session.receive_data(line + b"x" * (WELCOME_LIMIT - len(line)) + b"\n", START)
    assert isinstance(session.events()[0], Login)


def test_lines_that_come_before_our_answer_wait_for_it() -> None:
    session = ServerSession(START, TIMES)
    session.receive_data(welcome() + lines(b"S1")[:5], START)
    assert len(session.events()) == 1
    session.receive_data(lines(b"S1", b"D2")[5:], START)
    assert session.events() == []
    session.accept(SECRET, SERVER_TOKEN, START)
    assert session.events() == [b"S1", b"D2"]


def test_more_than_some_before_our_answer_fails() -> None:
    session = server(State.AUTHENTICATING)
    session.receive_data(b"x" * EARLY_LIMIT, START)
    assert session.events() == []
    session.receive_data(b"x", START)
    assert errors(session.events()) == [LineTooLong]


# ---- scheme 1


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_user_is_let_in_and_speaks_plainly(size: int) -> None:
    session, seen = ServerSession(START, TIMES), list[Event]()
    for piece in cut(b"MP-A 1 other hunter22 *\r\nA\r\nMP-0 C7,stat\nx1\r\n", size):
        session.receive_data(piece, START)
        for event in session.events():
            seen.append(event)
            if isinstance(event, UserLogin):
                session.accept_user("Other", "OTHER1", ["OTHER1", "OTHER2"], START)
        seen += session.events()
    assert seen == [UserLogin(Role.APP, "other", "hunter22", "*"), b"A", b"C7,stat", b"x1"]
    session.send(b"Z1", START)
    assert session.data_to_send() == b"MP-S 1 Other OTHER1 OTHER1 OTHER2\r\nZ1\r\n"


def test_who_is_in_leaves_no_password_behind() -> None:
    session = ServerSession(START, TIMES)
    session.receive_data(b"MP-A 1 other hunter22 *\r\n", START)
    session.events()
    session.accept_user("Other", "OTHER1", [], START)
    assert not [held for held in gc.get_referents(session) if isinstance(held, UserLogin)]


def test_each_scheme_has_its_own_answer() -> None:
    session = ServerSession(START, TIMES)
    session.receive_data(b"MP-A 1 other hunter22 *\r\n", START)
    with pytest.raises(StateError, match="ACCEPT is not allowed in AUTHENTICATING"):
        session.accept(SECRET, SERVER_TOKEN, START)
    with pytest.raises(StateError, match="ACCEPT is not allowed in AUTHENTICATING"):
        server(State.AUTHENTICATING).accept_user("other", "OTHER1", [], START)


# ---- configuration


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_module_gets_its_configuration_as_openssl_seals_it(size: int) -> None:
    told = transcript(PROVISIONING)
    session = ServerSession(START, TIMES)
    for piece in cut(told.car.stream, size):
        session.receive_data(piece, START)
    assert session.events() == [ProvisionRequest("VIN00000000000001")]
    session.provision(told.srv.messages[0], told.secret, told.server_token, START)
    assert session.data_to_send() == told.srv.stream


def test_a_configuration_that_was_enciphered_elsewhere_is_sent_as_it_is() -> None:
    told = transcript(PROVISIONING)
    session = ServerSession(START, TIMES)
    session.receive_data(told.car.stream, START)
    token, digest, record = told.srv.stream.split()[2:]
    session.provision_enciphered(token, digest, record, START)
    assert session.data_to_send() == told.srv.stream


def test_a_module_may_log_in_after_its_configuration_and_need_not_wait_for_it() -> None:
    session = ServerSession(START, TIMES)
    session.receive_data(REQUEST + welcome(), START)
    assert session.events() == [ProvisionRequest("VIN00000000000001")]
    session.provision_nothing(START)
    assert session.data_to_send() == NOT_PROVISIONED
    [login] = session.events()
    assert isinstance(login, Login)
    session.accept(SECRET, SERVER_TOKEN, START)
    assert session.data_to_send() == ANSWER


def test_a_connection_gets_one_configuration_and_may_not_ask_for_ever() -> None:
    session = ServerSession(START, TIMES)
    answers = []
    for _ in range(MOST_REQUESTS):
        session.receive_data(REQUEST, START)
        session.provision(b"record", b"secret", SERVER_TOKEN, START)
        answers.append(session.data_to_send()[:4])
    assert answers == [b"AP-S"] + [b"AP-X"] * (MOST_REQUESTS - 1)
    session.events()
    session.receive_data(REQUEST, START)
    assert errors(session.events()) == [BadWelcome]


# ---- messages


@pytest.mark.parametrize("line", [b"\r\n", b"\n", GARBAGE, b"AAAAAAAAAAAAAAAAAAAAAAAA\r\n", b"\xff\xfe\n"])
def test_a_line_that_is_no_message_fails(line: bytes) -> None:
    session = server(State.READY)
    session.receive_data(lines(b"S1", b"D2") + line + lines(b"L3"), START)
    first, second, failed = session.events()
    assert [first, second] == [b"S1", b"D2"]
    assert errors([failed]) == [Undecodable]
    assert session.state is State.CLOSED


def test_the_magic_word_alone_is_undecodable() -> None:
    session = server(State.READY)
    session.receive_data(lines(b""), START)
    assert errors(session.events()) == [Undecodable]


@pytest.mark.parametrize("role", Role)
def test_each_role_has_its_longest_line(role: Role) -> None:
    limit = LINE_LIMITS[role]
    message = b"S" + b"x" * (limit // 4 * 3 - 6)
    line = lines(message)
    assert len(line) == limit + 2

    session = server(State.READY, role)
    session.receive_data(line[:-2] + b"\n", START)
    assert session.events() == [message]

    session.receive_data(b"A" * (limit + 1), START)
    assert errors(session.events()) == [LineTooLong]


def test_the_longest_lines_are_those_that_real_peers_need() -> None:
    assert LINE_LIMITS[Role.CAR] > 1_200_000
    assert LINE_LIMITS[Role.APP] == LINE_LIMITS[Role.BATCH] == 64 * 1024
    assert WELCOME_LIMIT == 1024


def test_what_we_send_is_whole_lines() -> None:
    session = server(State.READY)
    session.send(b"Z1", START)
    session.send(b"T0", START)
    first, second, rest = session.data_to_send().split(b"\r\n")
    other = cipher()
    assert [other.open(first), other.open(second), rest] == [b"Z1", b"T0", b""]


# ---- times


@pytest.mark.parametrize(
    ("state", "role", "seconds", "awaited"),
    [
        (State.AWAITING_WELCOME, Role.CAR, 30, "welcome"),
        (State.AUTHENTICATING, Role.CAR, 75, "answer to the login"),
        (State.PROVISIONING, Role.CAR, 75, "answer to the request"),
        (State.READY, Role.APP, 1200, "message"),
        (State.READY, Role.BATCH, 120, "message"),
    ],
)
def test_a_silent_peer_fails_in_its_time(state: State, role: Role, seconds: float, awaited: str) -> None:
    session = server(state, role)
    assert session.next_timer() == START + seconds
    session.handle_timer(START + seconds - 0.001)
    assert session.events() == []
    session.handle_timer(START + seconds)
    [failed] = session.events()
    assert isinstance(failed, Failed)
    assert str(failed.error) == f"no {awaited} for {seconds} s"
    assert session.data_to_send() == b""


def test_a_car_is_pinged_after_900_s_and_fails_after_960_s() -> None:
    session = server(State.READY)
    assert session.next_timer() == START + 900
    session.handle_timer(START + 899.9)
    assert session.data_to_send() == b""
    session.handle_timer(START + 900)
    assert cipher().open(session.data_to_send()) == b"A"
    assert session.next_timer() == START + 960
    session.handle_timer(START + 960)
    assert errors(session.events()) == [TimedOut]


def test_a_car_that_talks_but_is_not_talked_to_is_pinged_for_its_own_timer() -> None:
    session, other, pings = server(State.READY), cipher(), list[float]()
    for minute in range(1, 61):
        now = START + 60 * minute
        session.receive_data(other.seal(b"S1"), now)
        session.handle_timer(now)
        if session.data_to_send():
            pings.append(now - START)
    assert pings == [900, 1800, 2700, 3600]
    assert errors(session.events()) == []


def test_what_we_send_puts_the_ping_off() -> None:
    session = server(State.READY)
    session.send(b"Z1", START + 500)
    session.data_to_send()
    session.receive_data(lines(b"S1"), START + 500)
    session.handle_timer(START + 1399)
    assert session.data_to_send() == b""
    session.handle_timer(START + 1400)
    assert session.data_to_send() != b""


def test_a_ping_is_not_repeated_within_300_s() -> None:
    session = server(State.READY, times=Timeouts(car=100, ping_margin=60, ping_again=300))
    other, pings = cipher(), list[float]()
    for second in range(0, 1000, 10):
        session.receive_data(other.seal(b"S1"), START + second)
        session.handle_timer(START + second)
        if session.data_to_send():
            pings.append(second)
    assert pings == [300, 600, 900]


@pytest.mark.parametrize("role", [Role.APP, Role.BATCH])
def test_only_cars_are_pinged(role: Role) -> None:
    session = server(State.READY, role)
    session.handle_timer(START + TIMES.silence(role) - 1)
    assert session.data_to_send() == b""


def test_a_message_begins_the_silence_anew() -> None:
    session = server(State.READY, Role.BATCH)
    session.receive_data(lines(b"A"), START + 119)
    session.handle_timer(START + 120)
    assert errors(session.events()) == []
    assert session.next_timer() == START + 239


def test_silence_that_was_not_the_peers_is_excused() -> None:
    session = server(State.READY, Role.BATCH)
    session.excuse_silence(START + 100)
    session.handle_timer(START + 219)
    assert errors(session.events()) == []
    session.handle_timer(START + 220)
    assert errors(session.events()) == [TimedOut]


def test_a_closed_session_has_no_timer() -> None:
    assert server(State.CLOSED).next_timer() is None


def test_a_peer_has_30_s_to_log_in_however_slowly_it_speaks() -> None:
    session = ServerSession(START, TIMES)
    for second in range(31):
        session.receive_data(b"M", START + second)
        session.handle_timer(START + second)
    assert errors(session.events()) == [TimedOut]


def test_a_login_is_held_for_75_s_whatever_comes_meanwhile() -> None:
    session = server(State.AUTHENTICATING)
    session.receive_data(b"x", START + 70)
    session.handle_timer(START + 75)
    assert errors(session.events()) == [TimedOut]


# ---- anything at all


@pytest.mark.parametrize("state", State)
@given(pieces=st.lists(st.binary(max_size=200), max_size=10))
@settings(max_examples=60, deadline=None)
def test_no_bytes_at_all_are_a_bug(state: State, pieces: list[bytes]) -> None:
    session = server(state)
    seen = list[Event]()
    for piece in pieces:
        session.receive_data(piece, START)
        seen += session.events()
    failures = errors(seen)
    assert len(failures) <= 1
    assert (session.state is State.CLOSED) == (state is State.CLOSED or failures != [])
    if failures:
        assert isinstance(seen[-1], Failed)


@given(
    before=st.lists(st.binary(min_size=1, max_size=30).filter(lambda m: m[0] > 0x20 and b"\n" not in m), max_size=5),
    garbage=st.binary(min_size=1, max_size=60),
    size=st.integers(1, 50),
)
@settings(max_examples=100, deadline=None)
def test_garbage_between_lines_ends_the_session_and_nothing_comes_after_it(
    before: list[bytes], garbage: bytes, size: int
) -> None:
    session, other, seen = server(State.READY), cipher(), list[Event]()
    stream = b"".join(map(other.seal, before)) + garbage.replace(b"\n", b"") + b"\n\n"
    for piece in cut(stream, size):
        session.receive_data(piece, START)
        seen += session.events()
    session.receive_data(other.seal(b"S1"), START)
    seen += session.events()
    assert seen[: len(before)] == before
    # Four bytes of garbage in 2^40 could open to the magic word; the empty line after it never does.
    assert isinstance(seen[-1], Failed)
    assert session.state is State.CLOSED
    assert sum(isinstance(event, Failed) for event in seen) == 1
