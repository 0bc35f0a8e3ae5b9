"""The server's end of one connection.

The shell feeds bytes and times; on `Login` it looks the vehicle up and answers with `accept` or `reject`: the session itself
never looks anything up. What arrives in between waits in the session.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from ovms.errors import BadWelcome, LineTooLong, ProtocolError, StateError, TimedOut, TokenReplayed
from ovms.identity import Role
from ovms.protocol.cipher import Lines, PlainLines, Rc4Lines, session_key
from ovms.protocol.events import Failed
from ovms.protocol.lines import LineBuffer
from ovms.protocol.states import TRANSITIONS, Input, State
from ovms.protocol.timers import Timeouts
from ovms.protocol.welcome import (
    NOT_PROVISIONED,
    Login,
    ProvisionRequest,
    UserLogin,
    read_welcome,
    write_answer,
    write_enciphered,
    write_provisioning,
    write_user_answer,
)

Event = Login | UserLogin | ProvisionRequest | Failed | bytes

WELCOME_LIMIT: Final = 1024
# Output of a command on the module's shell comes as one line and can be long: the reference was seen to take 1.2 MB.
LINE_LIMITS: Final[Mapping[Role, int]] = {Role.CAR: 2 * 1024 * 1024, Role.APP: 64 * 1024, Role.BATCH: 64 * 1024}
# Nobody has anything to say between its welcome and our answer, which it needs to encipher a line.
EARLY_LIMIT: Final = 4096

MOST_REQUESTS: Final = 4
"""Requests for a configuration that one connection may make; only the first may have one."""

PING: Final = b"A"


class ServerSession:
    """Protocol v2 as the server speaks it.

    Args:
        now: the time of the connection, in seconds of any monotonic clock.
        timeouts: how long the peer may be silent.
    """

    __slots__ = (
        "_cipher",
        "_early",
        "_events",
        "_last_ping",
        "_last_received",
        "_last_sent",
        "_lines",
        "_login",
        "_out",
        "_requests",
        "_role",
        "_timeouts",
        "state",
    )

    _role: Role
    """Of a peer that is in."""

    def __init__(self, now: float, timeouts: Timeouts) -> None:
        self.state = State.AWAITING_WELCOME
        self._timeouts = timeouts
        self._lines = LineBuffer(WELCOME_LIMIT)
        self._login: Login | UserLogin | None = None
        self._cipher: Lines | None = None
        self._requests = 0
        self._early = b""
        self._events: list[Event] = []
        self._out: list[bytes] = []
        self._last_received = self._last_sent = self._last_ping = now

    def receive_data(self, data: bytes, now: float) -> None:
        """Take bytes of the peer. Then ask for `events()` and send `data_to_send()`; what it raises is a bug."""
        state = self.state
        try:
            _READERS[state](self, data)
        except ProtocolError as error:
            self._fail(error)
        # Before login only progress counts: who sends a byte a second is not kept longer than who sends nothing.
        if state is State.READY or self.state is not state:
            self._last_received = now

    def receive_eof(self) -> None:
        """The peer has closed its end."""
        self._step(Input.CLOSE)

    def events(self) -> list[Event]:
        """What happened since the last call, in order: requests, messages as `bytes`, at the end perhaps `Failed`."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes:
        """What must go out now; whole lines."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def accept(self, secret: bytes, server_token: bytes, now: float) -> None:
        """Let the peer in whose `Login` proves `secret`; lines that came early are read.

        Args:
            server_token: 22 random characters of the base64 alphabet.

        Raises:
            StateError: there is no login to answer.
        """
        if not isinstance(login := self._login, Login) or self.state is not State.AUTHENTICATING:
            raise StateError(f"ACCEPT is not allowed in {self.state.name}")
        if login.token == server_token:
            self._fail(TokenReplayed())
        else:
            cipher = Rc4Lines(session_key(secret, server_token, login.token))
            self._let_in(login, cipher, write_answer(server_token, secret), now)

    def accept_user(self, user: str, vehicle_id: str, vehicle_ids: Iterable[str], now: float) -> None:
        """Let the peer in whose `UserLogin` is right; lines that came early are read.

        Args:
            user: as the name is stored.
            vehicle_ids: all the user's vehicles, as they are stored.

        Raises:
            StateError: there is no login of a user to answer.
        """
        if not isinstance(login := self._login, UserLogin):
            raise StateError(f"ACCEPT is not allowed in {self.state.name}")
        self._let_in(login, PlainLines(), write_user_answer(user, vehicle_id, vehicle_ids), now)

    def provision(self, record: bytes, secret: bytes, token: bytes, now: float) -> None:
        """Answer a `ProvisionRequest` with a configuration; lines that came early are read.

        Raises:
            StateError: there is no request to answer.
        """
        self._answer_request(write_provisioning(record, secret, token), now)

    def provision_enciphered(self, token: bytes, digest: bytes, record: bytes, now: float) -> None:
        """Answer a `ProvisionRequest` with a configuration that was enciphered elsewhere; lines that came early are read.

        Raises:
            StateError: there is no request to answer.
        """
        self._answer_request(write_enciphered(token, digest, record), now)

    def provision_nothing(self, now: float) -> None:
        """Answer a `ProvisionRequest` for which there is no configuration.

        Raises:
            StateError: there is no request to answer.
        """
        self._answer_request(NOT_PROVISIONED, now)

    def reject(self) -> None:
        """Refuse the login: nothing is sent, the connection should be closed.

        Raises:
            StateError: there is no login to answer.
        """
        self._step(Input.REJECT)

    def send(self, message: bytes, now: float) -> None:
        """Queue a message, one byte of code and the data, for `data_to_send`.

        Raises:
            StateError: the peer has not logged in, or the session is closed.
        """
        if self._cipher is None or self.state is not State.READY:
            raise StateError(f"SEND is not allowed in {self.state.name}")
        self._out.append(self._cipher.seal(message))
        self._last_sent = now

    def next_timer(self) -> float | None:
        """When to call `handle_timer`, or None once closed. It may move later by itself, never earlier but by `accept`."""
        if self.state is State.CLOSED:
            return None
        silence_ends = self._last_received + self._patience()
        return min(silence_ends, self._ping_due()) if self._is_car_ready() else silence_ends

    def handle_timer(self, now: float) -> None:
        """Time has passed: fail a silent peer, ping a car that has heard nothing for long."""
        if self.state is State.CLOSED:
            return
        patience = self._patience()
        if now >= self._last_received + patience:
            self._fail(TimedOut(_AWAITED[self.state], patience))
        elif self._is_car_ready() and now >= self._ping_due():
            self.send(PING, now)
            self._last_ping = now

    def excuse_silence(self, now: float) -> None:
        """We have not listened until now: what the peer has not said is not its fault."""
        self._last_received = now

    def close(self) -> None:
        """We end the session; nothing more is read or sent."""
        self._step(Input.CLOSE)

    # ---- readers, one a state

    def _read_welcome(self, data: bytes) -> None:
        cut = self._lines.feed_one(data)
        if cut is None:
            return
        line, rest = cut
        request = read_welcome(line)
        if isinstance(request, ProvisionRequest):
            self._count_request()
            self._step(Input.PROVISION)
        else:
            self._login = request
            self._step(Input.WELCOME)
        self._events.append(request)
        if rest:
            self._wait(rest)

    def _count_request(self) -> None:
        self._requests += 1
        if self._requests > MOST_REQUESTS:
            raise BadWelcome

    def _wait(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > EARLY_LIMIT:
            raise LineTooLong(EARLY_LIMIT)

    def _read_messages(self, data: bytes) -> None:
        assert self._cipher is not None
        open_line, report = self._cipher.open, self._events.append
        for line in self._lines.feed(data):
            report(open_line(line))

    def _discard(self, data: bytes) -> None:
        """A closed session reads nothing."""

    # ---- states and times

    def _answer_request(self, answer: bytes, now: float) -> None:
        # One configuration a connection, as in the reference: keys are not there to be tried out.
        self._step(Input.ANSWER)
        self._out.append(answer if self._requests == 1 else NOT_PROVISIONED)
        self._read_on(now)

    def _let_in(self, login: Login | UserLogin, cipher: Lines, answer: bytes, now: float) -> None:
        self._step(Input.ACCEPT)
        self._out.append(answer)
        self._cipher = cipher
        self._lines = LineBuffer(LINE_LIMITS[login.role])
        # A session lasts for weeks, and a user's password must not stay in memory for as long.
        self._role, self._login = login.role, None
        self._last_received = self._last_sent = self._last_ping = now
        self._read_on(now)

    def _read_on(self, now: float) -> None:
        if self._early:
            early, self._early = self._early, b""
            self.receive_data(early, now)

    def _step(self, given: Input) -> None:
        try:
            self.state = TRANSITIONS[self.state, given]
        except KeyError:
            raise StateError(f"{given.name} is not allowed in {self.state.name}") from None

    def _fail(self, error: ProtocolError) -> None:
        self._step(Input.FAIL)
        # With its traceback it would hold this session, and what it has read, until garbage is collected: seldom.
        error.__traceback__ = error.__context__ = None
        self._events.append(Failed(error))

    def _is_car_ready(self) -> bool:
        return self.state is State.READY and self._role is Role.CAR

    def _patience(self) -> float:
        if self.state is State.READY:
            return self._timeouts.silence(self._role)
        return self._timeouts.welcome if self.state is State.AWAITING_WELCOME else self._timeouts.hold

    def _ping_due(self) -> float:
        times = self._timeouts
        return max(self._last_sent + times.car - times.ping_margin, self._last_ping + times.ping_again)


_READERS: Final[Mapping[State, Callable[[ServerSession, bytes], None]]] = {
    State.AWAITING_WELCOME: ServerSession._read_welcome,  # noqa: SLF001
    State.AUTHENTICATING: ServerSession._wait,  # noqa: SLF001
    State.PROVISIONING: ServerSession._wait,  # noqa: SLF001
    State.READY: ServerSession._read_messages,  # noqa: SLF001
    State.CLOSED: ServerSession._discard,  # noqa: SLF001
}

_AWAITED: Final[Mapping[State, str]] = {
    State.AWAITING_WELCOME: "welcome",
    State.AUTHENTICATING: "answer to the login",
    State.PROVISIONING: "answer to the request",
    State.READY: "message",
}
