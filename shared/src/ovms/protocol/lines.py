"""Lines out of a stream: cut at LF, however the bytes arrive, and never longer than a limit.

The manual ends lines with CR LF; real clients also send LF alone, and CR and LF in two packets. So LF ends a line, and a CR
before it belongs to the line end: readers either strip it or, like base64, pass over it.
"""

from ovms.errors import LineTooLong


class LineBuffer:
    """Keeps the beginning of a line until its end arrives.

    Args:
        limit: the most bytes a line may have, its end not counted.
    """

    __slots__ = ("_limit", "_partial")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._partial: bytearray | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes, without LF.

        Raises:
            LineTooLong: a line, finished or not, is longer than the limit; nothing is kept.
        """
        if b"\n" not in data:
            self._keep(data)
            return []
        if self._partial is not None:
            data = bytes(self._partial + data)
            self._partial = None
        lines = data.split(b"\n")
        rest = lines.pop()
        if len(data) > self._limit and max(map(len, lines)) > self._limit:
            raise LineTooLong(self._limit)
        if rest:
            self._keep(rest)
        return lines

    def feed_one(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Like `feed`, but for the first line only: returns it and what came after it, or None if it has no end yet."""
        line, end, rest = data.partition(b"\n")
        if not end:
            self._keep(data)
            return None
        lines = self.feed(line + end)
        return lines[0], rest

    def _keep(self, data: bytes) -> None:
        # A bytearray grows in place, so a long line in tiny pieces costs what it would in large ones.
        if self._partial is None:
            self._partial = bytearray()
        self._partial += data
        if len(self._partial) > self._limit:
            self._partial = None
            raise LineTooLong(self._limit)
