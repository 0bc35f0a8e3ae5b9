"""A transport whose other end a test is."""

from typing import Any


class FakeTransport:
    """Takes what is written; `unread` bytes of it wait for a peer that does not read."""

    def __init__(self, address: str = "192.0.2.1") -> None:
        self._address = address
        self.writes: list[bytes] = []
        self.unread = 0
        self.is_reading = True
        self.is_closed = False
        self.is_aborted = False
        self.high = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._address, 50000) if name == "peername" else default

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: bytes) -> None:
        assert data, "an empty write"
        if not self.is_closed:
            self.writes.append(data)

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True
