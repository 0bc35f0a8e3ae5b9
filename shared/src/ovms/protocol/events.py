"""What a session reports, besides the messages themselves.

A message is reported as its `bytes`: one byte of code, then the data. An object around every message of every car would
cost more than deciphering it.
"""

from dataclasses import dataclass

from ovms.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Failed:
    """The peer broke the protocol: the session is closed, the connection should be too."""

    error: ProtocolError
