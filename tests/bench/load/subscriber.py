"""Receives what is published of all cars: counts while the clock runs, and compares when it has stopped."""

import re
import socket
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from bench.errors import BenchError

PATIENCE: Final = 30.0
BUFFER: Final = 1 << 20

_PATTERN: Final = b"ovms:{*:messages"
"""Revisions that are compared do not agree on what follows the vehicle's id."""
_MARK: Final = b"*4\r\n$8\r\npmessage\r\n$%d\r\n%b\r\n" % (len(_PATTERN), _PATTERN)
_END: Final = b"\r\n"
_VERSION: Final = re.compile(rb"\d+-\d+ ")
"""Precedes each message; not in revisions that are compared with."""


class Subscriber:
    """A connection to Valkey, subscribed to the messages channels of all cars."""

    def __init__(self, path: str) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE)
        self.connection.connect(path)
        # One for all: memory that is new each time costs more than what is read into it.
        self._buffer = memoryview(bytearray(BUFFER))
        self._chunks: list[bytes] = []
        self._tail = b""
        self.count = 0
        self.connection.sendall(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$%d\r\n%b\r\n" % (len(_PATTERN), _PATTERN))
        self._await_confirmation()

    def receive(self) -> None:
        """Count what has come; waits where nothing has.

        Raises:
            BenchError: nothing comes any more.
        """
        try:
            chunk = bytes(self._buffer[: self.connection.recv_into(self._buffer)])
        except TimeoutError:
            raise BenchError(f"nothing is published any more after {self.count} messages") from None
        if not chunk:
            raise BenchError("Valkey closed the subscriber's connection")
        self._chunks.append(chunk)
        # A mark may lie across two chunks; what is kept of the first is too short to hold one.
        text = self._tail + chunk
        self.count += text.count(_MARK)
        self._tail = text[-len(_MARK) + 1 :]

    def publications(self) -> Iterator[tuple[str, bytes]]:
        """The vehicle and the message of each, in the order in which they came."""
        for publication in b"".join(self._chunks).split(_MARK)[1:]:
            channel, _, body = publication.partition(_END)[2].partition(_END)
            message = body.partition(_END)[2][: -len(_END)]
            version = _VERSION.match(message)
            yield channel.partition(b"{")[2].partition(b"}")[0].decode(), message[version.end() if version else 0 :]

    def heard(self) -> dict[str, list[bytes]]:
        """All messages in their order, by the vehicle's id in upper case."""
        found: dict[str, list[bytes]] = defaultdict(list)
        for vehicle_id, message in self.publications():
            found[vehicle_id].append(message)
        return found

    def close(self) -> None:
        """Hear no more."""
        self.connection.close()

    def _await_confirmation(self) -> None:
        received = b""
        last = b":1\r\n"
        while not received.endswith(last):
            received += self.connection.recv(BUFFER)
