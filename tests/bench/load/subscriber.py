"""Hears what is published on the channels of some cars: counts while the clock runs, and compares when it has stopped."""

import socket
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from bench.errors import BenchError
from ovms.bus.channels import messages_channel

PATIENCE: Final = 30.0
BUFFER: Final = 1 << 20

_MARK: Final = b"*3\r\n$7\r\nmessage\r\n"
_END: Final = b"\r\n"


class Subscriber:
    """A connection to Valkey, subscribed to exactly the channels of these cars."""

    def __init__(self, path: str, vehicle_ids: Sequence[str]) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE)
        self.connection.connect(path)
        # One for all: memory that is new each time costs more than what is read into it.
        self._buffer = memoryview(bytearray(BUFFER))
        self._chunks: list[bytes] = []
        self._tail = b""
        self.count = 0
        channels = [messages_channel(vehicle_id).encode() for vehicle_id in vehicle_ids]
        words = [b"SUBSCRIBE", *channels]
        self.connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
        self._await_confirmations(len(channels))

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
        """The channel and the message of each, in the order in which they came."""
        for publication in b"".join(self._chunks).split(_MARK)[1:]:
            channel, _, body = publication.partition(_END)[2].partition(_END)
            yield channel.decode(), body.partition(_END)[2][: -len(_END)]

    def heard(self) -> dict[str, list[bytes]]:
        """All messages in their order, by channel."""
        found: dict[str, list[bytes]] = defaultdict(list)
        for channel, message in self.publications():
            found[channel].append(message)
        return found

    def close(self) -> None:
        """Hear no more."""
        self.connection.close()

    def _await_confirmations(self, count: int) -> None:
        received = b""
        last = b":%d\r\n" % count
        while not received.endswith(last):
            received += self.connection.recv(BUFFER)
