"""`ServerSession`: any bytes in any pieces, and any answer at any time."""

from collections.abc import Callable

from fuzz.script import FLOOD, read_steps
from fuzz.targets.sessions import CLIENT_TOKEN, SECRET, SERVER_TOKEN, check_lines, check_message, code_and_data
from ovms.errors import ProtocolError, StateError
from ovms.identity import Role
from ovms.protocol import Failed, Login, ProvisionRequest, ServerSession, State, Timeouts, UserLogin
from ovms.protocol.cipher import PlainLines, Rc4Lines, session_key
from ovms.protocol.server import EARLY_LIMIT, LINE_LIMITS, WELCOME_LIMIT
from ovms.protocol.welcome import write_welcome

ROLES = tuple(Role)
ASKING = {State.AUTHENTICATING, State.PROVISIONING}


class Serving:
    """A session, the peer at its other end, and what has been seen of it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.session = ServerSession(self.now, Timeouts())
        self.peer: Rc4Lines | PlainLines | None = None
        self.request: object = None
        self.has_ended = False
        self.is_clean = True
        """The peer has sent nothing but whole messages since it was let in."""
        self.sent_early = False
        self.said: list[bytes] = []
        self.limit = WELCOME_LIMIT

    # ---- what the peer does

    def receive(self, data: bytes) -> None:
        self.is_clean = False
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        before = self.session.state
        self.sent_early = self.sent_early or bool(data and self.peer is None and self.request)
        self.session.receive_data(data, self.now)
        if before in ASKING:
            assert self.session.state in (before, State.CLOSED)

    def line(self, data: bytes) -> None:
        self.receive(data + b"\r\n")

    def flood(self, data: bytes) -> None:
        self.receive(data[:1024] * FLOOD)

    def welcome(self, data: bytes) -> None:
        role = ROLES[data[0] % len(ROLES)] if data else Role.CAR
        self.receive(write_welcome(role, CLIENT_TOKEN, SECRET, data[1:].decode("utf-8", "replace")))

    def message(self, data: bytes) -> None:
        if self.peer is None:
            return
        message = code_and_data(data)
        is_heard = self.is_clean and self.session.state is State.READY
        self._receive(self.peer.seal(message))
        if is_heard and len(message) < self.limit // 2:
            self.said.append(message)

    def end(self, data: bytes) -> None:
        self.session.receive_eof()
        self.has_ended = True

    # ---- what we do

    def accept(self, data: bytes) -> None:
        """The bytes are a server token and a secret, or `reflected`."""
        token, _, secret = data.partition(b" ")
        token, secret = bytes(token.split()[0]) if token.split() else SERVER_TOKEN, secret or SECRET
        login = self.request
        allowed = isinstance(login, Login) and self.session.state is State.AUTHENTICATING
        if isinstance(login, Login) and token == b"reflected":
            token = login.token
        self._try(lambda: self.session.accept(secret, token, self.now), allowed)
        if allowed and isinstance(login, Login) and token != login.token:
            self._let_in(Rc4Lines(session_key(secret, token, login.token)))

    def accept_user(self, data: bytes) -> None:
        allowed = isinstance(self.request, UserLogin) and self.session.state is State.AUTHENTICATING
        self._try(lambda: self.session.accept_user("anna", "DEMO", ["DEMO", "EV1"], self.now), allowed)
        if allowed:
            self._let_in(PlainLines())

    def _let_in(self, lines: Rc4Lines | PlainLines) -> None:
        assert isinstance(self.request, Login | UserLogin)
        self.limit = LINE_LIMITS[self.request.role]
        self.peer = lines
        self.is_clean = not self.sent_early
        [welcome] = check_lines(self.session.data_to_send())
        assert welcome.startswith(b"MP-S ")

    def reject(self, data: bytes) -> None:
        allowed = self.session.state is State.AUTHENTICATING
        self._try(self.session.reject, allowed)
        self.has_ended = self.has_ended or allowed

    def provision(self, data: bytes) -> None:
        allowed = self.session.state is State.PROVISIONING
        self._try(lambda: self.session.provision(data, SECRET, SERVER_TOKEN, self.now), allowed)

    def provision_nothing(self, data: bytes) -> None:
        allowed = self.session.state is State.PROVISIONING
        self._try(lambda: self.session.provision_nothing(self.now), allowed)

    def send(self, data: bytes) -> None:
        message = code_and_data(data)
        allowed = self.session.state is State.READY
        self.check()
        self._try(lambda: self.session.send(message, self.now), allowed)
        if allowed:
            [line] = check_lines(self.session.data_to_send())
            assert self.peer is not None
            assert self.peer.open(line) == message

    def wait(self, data: bytes) -> None:
        self.now += int.from_bytes(data[:2], "big") / 16
        if not data and (when := self.session.next_timer()) is not None:
            self.now = max(self.now, when)
        self.session.handle_timer(self.now)
        following = self.session.next_timer()
        assert following is None or following > self.now

    def _try(self, step: Callable[[], None], allowed: bool) -> None:
        try:
            step()
        except StateError:
            assert not allowed
        else:
            assert allowed

    # ---- what must hold

    def check(self) -> None:
        for event in self.session.events():
            assert not self.has_ended, "something after the end"
            if isinstance(event, Failed):
                assert isinstance(event.error, ProtocolError)
                assert str(event.error)
                self.has_ended = True
            elif isinstance(event, bytes):
                assert self.peer is not None, "a message before the login"
                check_message(event)
                if self.said:
                    assert event == self.said.pop(0)
            else:
                assert isinstance(event, Login | UserLogin | ProvisionRequest)
                self.request = event
        assert not self.said or self.has_ended, "a message was not reported"
        assert not self.has_ended or self.session.state is State.CLOSED
        assert (self.session.next_timer() is None) == (self.session.state is State.CLOSED)
        self._check_sent()
        self._check_kept()

    def _check_sent(self) -> None:
        for line in check_lines(self.session.data_to_send()):
            if self.peer is None:
                assert line.startswith((b"AP-S ", b"AP-X"))
            else:
                # Nothing but a ping is sent by itself.
                assert self.peer.open(line) == b"A"

    def _check_kept(self) -> None:
        assert self.has_ended or len(self.session._early) <= EARLY_LIMIT
        assert len(self.session._lines._partial or b"") <= self.limit


STEPS = {
    "r": Serving.receive,
    "l": Serving.line,
    "f": Serving.flood,
    "w": Serving.welcome,
    "m": Serving.message,
    "e": Serving.end,
    "a": Serving.accept,
    "u": Serving.accept_user,
    "x": Serving.reject,
    "p": Serving.provision,
    "n": Serving.provision_nothing,
    "s": Serving.send,
    "t": Serving.wait,
}


def check(data: bytes) -> None:
    serving = Serving()
    for letter, given in read_steps(data):
        if letter in STEPS:
            STEPS[letter](serving, given)
            serving.check()
