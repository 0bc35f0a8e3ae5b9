"""Hears what is published on the channels of some cars: counts while the clock runs, and compares when it has stopped."""

import select
import socket
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from bench.stack import BenchError
from ovms.bus.channels import messages_channel

PATIENCE: Final = 30.0
BUFFER: Final = 1 << 20

_MARK: Final = b"*3\r\n$7\r\nmessage\r\n"
_END: Final = b"\r\n"


class Subscriber:
    """A connection to Valkey, subscribed to exactly the channels of these cars."""

    def __init__(self, path: str, vehicle_ids: Sequence[str]) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(PATIENCE)
        self._connection.connect(path)
        self._chunks: list[bytes] = []
        self._tail = b""
        self.count = 0
        channels = [messages_channel(vehicle_id).encode() for vehicle_id in vehicle_ids]
        words = [b"SUBSCRIBE", *channels]
        self._connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
        self._await_confirmations(len(channels))

    def hear(self) -> None:
        """Count what has come, without waiting."""
        while select.select([self._connection], [], [], 0.0)[0]:
            self._receive()

    def await_count(self, count: int) -> None:
        """Count until so many publications have come.

        Raises:
            BenchError: no more come.
        """
        while self.count < count:
            self._receive()

    def _receive(self) -> None:
        try:
            chunk = self._connection.recv(BUFFER)
        except TimeoutError:
            raise BenchError(f"nothing is published any more after {self.count} messages") from None
        if not chunk:
            raise BenchError("Valkey closed the subscriber's connection")
        self._chunks.append(chunk)
        # A mark may lie across two chunks; what is kept of the first is too short to hold one.
        text = self._tail + chunk
        self.count += text.count(_MARK)
        self._tail = text[-len(_MARK) + 1 :]

    def heard(self) -> dict[str, list[bytes]]:
        """All messages in their order, by channel."""
        found: dict[str, list[bytes]] = defaultdict(list)
        for publication in b"".join(self._chunks).split(_MARK)[1:]:
            channel, _, body = publication.partition(_END)[2].partition(_END)
            found[channel.decode()].append(body.partition(_END)[2][: -len(_END)])
        return found

    def close(self) -> None:
        """Hear no more."""
        self._connection.close()

    def _await_confirmations(self, count: int) -> None:
        received = b""
        last = b":%d\r\n" % count
        while not received.endswith(last):
            received += self._connection.recv(BUFFER)
