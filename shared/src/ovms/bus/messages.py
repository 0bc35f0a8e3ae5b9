"""The bodies on a vehicle's messages channel: `<session>-<number> <message>`. `interface` declares them.

Session and number are the version of the message: the number of the car's session, and that of the message in the session.
Where nothing follows the blank the body is a position: messages up to this version were given numbers, and some of them may
have been dropped. `0-0` is the version of a message that is not of a session of the car.
"""

from typing import Final

from ovms.sync.versions import Version

OUTSIDE_SESSIONS: Final = b"0-0"
"""The version of a notification that an app or a script sends at a replica where the car is not connected."""


def message_body(version: Version, message: bytes) -> bytes:
    """Return the body of a message; an empty message makes a position."""
    return b"%d-%d %b" % (*version, message)


def read_message(body: bytes) -> tuple[Version, bytes]:
    """Read a body.

    Raises:
        ValueError: it has no version.
    """
    version, blank, message = body.partition(b" ")
    session, _, number = version.partition(b"-")
    if not (blank and session.isdigit() and number.isdigit()):
        raise ValueError(f"a message has no version: {body[:40]!r}, expected <session>-<number> <message>")
    return Version(int(session), int(number)), message
