"""Normalize request heads of real clients into heads that a strict parser accepts. Pure.

The reference server accepts all of these, and clients rely on it (each is seen in the wild):

- `Cookie: ovmsapisession=X\\r\\r\\n`: a client cut the cookie out of a header and kept its CR;
- bytes of UTF-8, and blanks, that were not percent-encoded in the target (passwords typed by hand);
- heads whose lines all end in LF alone.

Nothing that could be read as two heads is normalized: a CR counts as stray only behind other text of the same line, and a head
in which some lines end in CRLF and some in LF is rejected, since a proxy may have read it as fewer lines. Everything here takes
time in proportion to the size of the head.
"""

import re
from typing import Final

_END: Final = re.compile(rb"\n\r?\n")
_EMPTY_LINES: Final = re.compile(rb"(?:\r?\n)+")
_STRAY_CR: Final = re.compile(rb"(?<=[^\r\n])\r\r+\n")
_METHOD: Final = re.compile(rb"[!-~]+")
_VERSION: Final = re.compile(rb"HTTP/\d\.\d")
_UNSAFE: Final = re.compile(rb"[\x00-\x20\x7f-\xff]")


class MixedLineEnds(ValueError):
    """Some lines of a head end in CRLF and some in LF alone."""


def skip_empty_lines(data: bytes, start: int) -> int:
    """Return where the request line begins: some clients send an empty line behind a body (RFC 9112, 2.2)."""
    found = _EMPTY_LINES.match(data, start)
    return start if found is None else found.end()


def end_of_head(data: bytes | bytearray, start: int = 0) -> int:
    """Return the index behind the empty line that ends the first head from `start` on, or -1 where there is none yet."""
    found = _END.search(data, start)
    return -1 if found is None else found.end()


def mend(head: bytes) -> bytes:
    """Return the head as a strict parser accepts it: the same object where nothing has to be changed.

    Raises:
        MixedLineEnds: its lines end in different ways.
    """
    ends = head.count(b"\r\n")
    if ends != head.count(b"\n"):
        if ends:
            raise MixedLineEnds
        head = head.replace(b"\n", b"\r\n")
    if b"\r\r" in head:
        head = _STRAY_CR.sub(b"\r\n", head)
    line = head[: head.find(b"\r\n")]
    if line.count(b" ") == 2 and line.isascii():
        return head
    return mend_request_line(line) + head[len(line) :]


def mend_request_line(line: bytes) -> bytes:
    """Percent-encode blanks, controls and bytes above ASCII in the target; a line of another form stays as it is."""
    method, _, rest = line.partition(b" ")
    target, _, version = rest.rpartition(b" ")
    target = target.strip(b" ")
    if not target or not _METHOD.fullmatch(method) or not _VERSION.fullmatch(version):
        return line
    return b" ".join((method, _UNSAFE.sub(_percent_encode, target), version))


def _percent_encode(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
