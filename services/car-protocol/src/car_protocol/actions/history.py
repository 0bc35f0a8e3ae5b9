"""History records, `H` and `h` (manual, messages 0x48 and 0x68)."""

import re
from typing import Final, Protocol

from car_protocol.rooms.hub import Peer, Room
from car_protocol.server import Counters
from car_protocol.storage.recorder import Recorder
from ovms.db.writer import HistoryValues

LONGEST_TYPE: Final = 255
LATEST: Final = 7_258_118_400
"""The year 2200: nothing is kept beyond."""

_NUMBER: Final = re.compile(rb"\s*([+-]?\d{1,18})")


class HistoryPorts(Protocol):
    """The parts that history records need."""

    counters: Counters
    recorder: Recorder


def record(server: HistoryPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:  # noqa: ARG001
    """`H<type>,<number>,<lifetime>,<data>`: kept under the present time; nobody is told."""
    fields = message[1:].split(b",", 3)
    if len(fields) < 4 or len(fields[0]) > LONGEST_TYPE:
        server.counters.ignored += 1
        return
    record_type, number, lifetime, data = fields
    row = _row(server, room, now, (record_type, number, b"0", lifetime, data), None)
    server.recorder.put_history(row, None)


def record_acknowledged(server: HistoryPorts, room: Room, peer: Peer, message: bytes, now: float) -> None:
    """`h<ack>,<time difference>,<type>,<number>,<lifetime>,<data>`: answered `h<ack>` once it is committed.

    One that is malformed is answered as well, as the reference does: a module sends what is not answered for ever.
    """
    fields = message[1:].split(b",", 5)
    answer = b"h" + fields[0]
    if len(fields) < 6 or len(fields[2]) > LONGEST_TYPE or len(fields[0]) > LONGEST_TYPE:
        server.counters.ignored += 1
        server.recorder.send_in_order(peer, answer[: LONGEST_TYPE + 1], now)
        return
    ack_code, difference, record_type, number, lifetime, data = fields
    row = _row(server, room, now, (record_type, number, difference, lifetime, data), _text(ack_code))
    server.recorder.put_history(row, (peer, answer))


def _row(
    server: HistoryPorts, room: Room, now: float, fields: tuple[bytes, bytes, bytes, bytes, bytes], ack_code: str | None
) -> HistoryValues:
    record_type, number, difference, lifetime, data = fields
    wall = int(server.recorder.wall(now))
    recorded_at = _within(wall + _number(difference))
    # The reference counts the lifetime of a delayed record from now plus its delay, longer than the manual asks for
    # ("timestamp + lifetime"); nobody relies on it.
    expires_at = _within(recorded_at + _number(lifetime))
    return room.vehicle, _text(record_type), _number(number), recorded_at, data, expires_at, ack_code


def _within(seconds: int) -> int:
    return seconds if 0 <= seconds <= LATEST else (0 if seconds < 0 else LATEST)


def _number(text: bytes) -> int:
    """The number at the beginning of a text, 0 where there is none: what Perl and MySQL make of it in the reference."""
    if len(text) < 18 and text.isdigit():  # nearly always
        return int(text)
    found = _NUMBER.match(text)
    return int(found[1]) if found else 0


def _text(field: bytes) -> str:
    # PostgreSQL takes any character but NUL in a text.
    return field.decode("utf-8", "replace").replace("\0", "")
