"""The server's end of a WebSocket, with bounds on frames that cost their sender next to nothing.

A frame of six bytes takes as long to read as one of a thousand, and a ping, a pong or a fragment is not a message that another
bound counts. So frames are counted here, as they are read: what follows the one that is too many is not read.
"""

from collections.abc import Callable, Generator
from typing import Final

from wsproto import ConnectionType, WSConnection
from wsproto.events import Event, Message, Ping, Pong
from wsproto.frame_protocol import CloseReason

from ovms.errors import TooManyFrames

LOGIN_BYTES: Final = 1024
"""All frames of a peer that has not logged in, with their heads."""
CONTROL_FRAMES: Final = 50
"""Pings and pongs of one second; clients send one in some seconds."""
EMPTY_FRAGMENTS: Final = 10
"""Frames of one second that add nothing to a message that goes on."""
SMALL_FRAGMENTS: Final = 50
"""Frames of one second that add little to a message that goes on; libraries cut messages at some KiB."""
SMALL: Final = 256
"""Bytes under which a fragment adds little."""
TOO_MANY: Final = CloseReason.POLICY_VIOLATION
"""What a peer past one of these bounds is closed with: 1008."""


class BoundedWebSocket(WSConnection):
    """One WebSocket. Its handshake is handed over whole, in the first call of `receive_data`, and is bounded by the caller.

    Args:
        clock: a monotonic one.
        messages: whole messages of one second; None: they are bounded elsewhere.
    """

    def __init__(self, clock: Callable[[], float], *, messages: int | None = None) -> None:
        super().__init__(ConnectionType.SERVER)
        self._clock = clock
        self._most_messages = messages
        self._has_handshake = False
        self._login_bytes: int | None = LOGIN_BYTES  # those that are left; None: it has logged in
        self._second_ends = 0.0
        self._control = self._empty = self._small = self._messages = 0

    def lift_login_limit(self) -> None:
        """The peer has logged in: its bytes are bounded by its messages from now on."""
        self._login_bytes = None

    def receive_data(self, data: bytes | None) -> None:
        """Take bytes of the peer; those past a bound are dropped, and `events` ends with the error."""
        if data and self._has_handshake and (left := self._login_bytes) is not None:
            self._login_bytes = left - len(data)
            data = data[: max(0, left)]
        self._has_handshake = True
        super().receive_data(data)

    def events(self) -> Generator[Event, None, None]:
        """Return what the peer has sent, frame by frame.

        Raises:
            TooManyFrames: the peer has sent too many before login, or in this second.
        """
        for event in super().events():
            self._count(event)
            yield event
        if self._login_bytes is not None and self._login_bytes < 0:
            raise TooManyFrames

    def _count(self, event: Event) -> None:
        if (now := self._clock()) >= self._second_ends:
            self._second_ends = now + 1.0
            self._control = self._empty = self._small = self._messages = 0
        match event:
            case Ping() | Pong():
                self._control += 1
            case Message(frame_finished=True, message_finished=True):
                self._messages += 1
            case Message(frame_finished=True, data=data) if not data:
                self._empty += 1
            case Message(frame_finished=True, data=data) if len(data) < SMALL:
                self._small += 1
            case _:
                return
        if (
            self._control > CONTROL_FRAMES
            or self._empty > EMPTY_FRAGMENTS
            or self._small > SMALL_FRAGMENTS
            or (self._most_messages is not None and self._messages > self._most_messages)
        ):
            raise TooManyFrames
