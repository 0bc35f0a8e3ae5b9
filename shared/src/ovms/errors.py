"""Whose fault it is decides what happens next.

OvmsError
├── ProtocolError        the peer broke the protocol: close the connection, log at info
│   ├── LineTooLong
│   ├── BadWelcome
│   ├── UnsupportedScheme
│   ├── TokenReplayed
│   ├── WrongCredentials
│   ├── Undecodable
│   ├── TimedOut
│   ├── WebSocketClosed
│   └── TooManyFrames
├── StateError           we broke the protocol: a bug, crash the connection, log at error
└── IdentityError        a name, an id, a password or a permit that this server does not accept
"""


class OvmsError(Exception):
    """Any error that this library raises itself."""


class ProtocolError(OvmsError):
    """The peer broke the protocol; the message says how and carries no secret."""


class LineTooLong(ProtocolError):
    """More bytes without a line end than this peer may send."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"a line of more than {self.limit} bytes"


class BadWelcome(ProtocolError):
    """The first line is none that a peer may start with."""

    def __str__(self) -> str:
        return "the first line is not a welcome"


class UnsupportedScheme(ProtocolError):
    """The welcome asks for a protection scheme that this server does not speak."""

    def __str__(self) -> str:
        return "unsupported protection scheme"


class TokenReplayed(ProtocolError):
    """The peer's token is our own: it only reflects what we sent."""

    def __str__(self) -> str:
        return "the peer's token is the server's own"


class WrongCredentials(ProtocolError):
    """The vehicle is unknown or the digest proves another secret."""

    def __str__(self) -> str:
        return "unknown vehicle or wrong password"


class Undecodable(ProtocolError):
    """A line after login does not open to a message."""

    def __str__(self) -> str:
        return "a line that does not decode to a message"


class TimedOut(ProtocolError):
    """The peer was silent for longer than it may be."""

    def __init__(self, waited_for: str, seconds: float) -> None:
        super().__init__(waited_for, seconds)
        self.waited_for = waited_for
        self.seconds = seconds

    def __str__(self) -> str:
        return f"no {self.waited_for} for {self.seconds:g} s"


class WebSocketClosed(ProtocolError):
    """The peer has ended its WebSocket, or broken the rules of WebSockets."""

    def __str__(self) -> str:
        return "the WebSocket was closed"


class TooManyFrames(ProtocolError):
    """The peer sends more frames of a WebSocket than it may: before login, or in one second."""

    def __str__(self) -> str:
        return "too many WebSocket frames"


class StateError(OvmsError):
    """This server asked a session for a step that its state does not allow."""


class IdentityError(OvmsError):
    """A name, an id, a password or a permit that this server does not accept."""
