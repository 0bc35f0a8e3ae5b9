"""A client's end of one connection: a car, an app or a batch client. The simulator, the load generator and tests use it."""

import hmac
from dataclasses import dataclass
from typing import Final

from ovms.errors import ProtocolError, StateError, TokenReplayed, WrongCredentials
from ovms.identity import Role
from ovms.protocol.cipher import Rc4Lines, prove, session_key
from ovms.protocol.events import Failed
from ovms.protocol.lines import LineBuffer
from ovms.protocol.states import CLIENT_TRANSITIONS, ClientInput, ClientState
from ovms.protocol.welcome import read_answer, write_welcome

LINE_LIMIT: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The server has let us in and proved that it knows the secret."""


class ClientSession:
    """Protocol v2 as a client speaks it.

    Args:
        token: 22 random characters of the base64 alphabet.
    """

    __slots__ = ("_cipher", "_events", "_lines", "_out", "_secret", "_token", "state")

    def __init__(self, role: Role, vehicle_id: str, secret: bytes, token: bytes) -> None:
        self.state = ClientState.AWAITING_ANSWER
        self._secret = secret
        self._token = token
        self._lines = LineBuffer(LINE_LIMIT)
        self._cipher: Rc4Lines | None = None
        self._events: list[Welcomed | Failed | bytes] = []
        self._out = [write_welcome(role, token, secret, vehicle_id)]

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the server. Then ask for `events()`."""
        if self.state is ClientState.CLOSED:
            return
        try:
            for line in self._lines.feed(data):
                self._read(line)
        except ProtocolError as error:
            self._step(ClientInput.FAIL)
            self._events.append(Failed(error))

    def receive_eof(self) -> None:
        """The server has closed its end."""
        self._step(ClientInput.CLOSE)

    def events(self) -> list[Welcomed | Failed | bytes]:
        """What happened since the last call, in order: `Welcomed`, messages as `bytes`, at the end perhaps `Failed`."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes:
        """What must go out now: the welcome first, then whole lines."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def send(self, message: bytes) -> None:
        """Queue a message, one byte of code and the data.

        Raises:
            StateError: the server has not let us in yet, or the session is closed.
        """
        if self._cipher is None or self.state is not ClientState.READY:
            raise StateError(f"SEND is not allowed in {self.state.name}")
        self._out.append(self._cipher.seal(message))

    def _read(self, line: bytes) -> None:
        if self._cipher is None:
            self._read_answer(line)
        else:
            self._events.append(self._cipher.open(line))

    def _read_answer(self, line: bytes) -> None:
        token, digest = read_answer(line)
        if token == self._token:
            raise TokenReplayed
        if not hmac.compare_digest(prove(self._secret, token), digest):
            raise WrongCredentials
        self._step(ClientInput.ANSWER)
        self._cipher = Rc4Lines(session_key(self._secret, token, self._token))
        self._events.append(Welcomed())

    def _step(self, given: ClientInput) -> None:
        try:
            self.state = CLIENT_TRANSITIONS[self.state, given]
        except KeyError:
            raise StateError(f"{given.name} is not allowed in {self.state.name}") from None
