"""History records that wait for their commit, and who is told what after it."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from car_protocol.rooms.hub import Peer
from ovms.db.writer import HistoryValues

ROW_COST: Final = 200
"""What a waiting row takes besides its data, roughly."""

_DATA: Final = 4
_ACK_CODE: Final = 6
"""The places of the data and of the acknowledgement code among the values of a row, of which the first four are its key."""


class Waiting:
    """A record that is not written yet, and who is told what when it is."""

    __slots__ = ("acknowledge", "identity", "row")

    def __init__(self, identity: tuple[object, ...], row: HistoryValues) -> None:
        self.identity = identity
        self.row = row
        self.acknowledge: list[tuple[Peer, bytes]] = []


Batch: TypeAlias = list[list[Waiting]]
"""Of a statement: the records of each primary key, of which the last wins."""


class UnwrittenHistory:
    """What waits, and what is being written. Sizes are in bytes, of the data with `ROW_COST` for each row."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[object, ...], Waiting] = {}
        self._writing: dict[tuple[object, ...], Waiting] = {}
        self.acknowledgements = 0
        """That wait for a commit."""

    def put(self, row: HistoryValues, acknowledge: tuple[Peer, bytes] | None) -> int:
        """Keep a record; `acknowledge` is a peer and the message that it gets once the record is committed.

        Returns:
            By how much what waits has grown.
        """
        identity = _identity(row)
        waiting = self._waiting.get(identity)
        if waiting is None:
            waiting = self._waiting[identity] = Waiting(identity, row)
            grown = len(row[_DATA]) + ROW_COST
        elif row[_ACK_CODE] is None:
            grown = len(row[_DATA]) - len(waiting.row[_DATA])
            waiting.row = row
        else:
            grown = 0
        if acknowledge is not None:
            waiting.acknowledge.append(acknowledge)
            self.acknowledgements += 1
        return grown

    def tell_after_all(self, peer: Peer, message: bytes) -> bool:
        """Have a peer told something after the acknowledgements of all that waits; False: nothing does."""
        if not self._waiting:
            return False
        self._waiting[next(reversed(self._waiting))].acknowledge.append((peer, message))
        self.acknowledgements += 1
        return True

    # ---- the writer

    def take(self, size: int) -> list[Batch]:
        """What waits, to be written now, in statements of so many keys: a statement takes a key once."""
        self._writing, self._waiting = self._waiting, {}
        by_key: dict[tuple[object, ...], list[Waiting]] = {}
        for waiting in self._writing.values():
            by_key.setdefault(waiting.row[:4], []).append(waiting)
        records = list(by_key.values())
        return [records[start : start + size] for start in range(0, len(records), size)]

    def end(self, batch: Batch, refused: Sequence[HistoryValues], now: float) -> int:
        """A batch is committed but for what PostgreSQL has refused: tell those who wait for it. Returns how large it was."""
        size = 0
        for records in batch:
            is_committed = records[-1].row not in refused
            for waiting in records:
                if is_committed:
                    for peer, message in waiting.acknowledge:
                        peer.send(message, now)
                del self._writing[waiting.identity]
                self.acknowledgements -= len(waiting.acknowledge)
                size += len(waiting.row[_DATA]) + ROW_COST
        return size

    def give_back(self) -> int:
        """What was taken and not ended waits again, before what has come since. Returns the size of what is replaced so."""
        newer, self._waiting, self._writing = self._waiting, self._writing, {}
        size = 0
        for identity, waiting in newer.items():
            former = self._waiting.setdefault(identity, waiting)
            if former is not waiting:
                size += len(former.row[_DATA]) + ROW_COST
                former.row = waiting.row
                former.acknowledge += waiting.acknowledge
        return size


def _identity(row: HistoryValues) -> tuple[object, ...]:
    """What makes two records one: a car that sends one again repeats its acknowledgement code and data, not its time."""
    vehicle, record_type, number, recorded_at, data, _, ack_code = row
    if ack_code is None:
        return (vehicle, record_type, number, recorded_at)
    return (vehicle, record_type, number, ack_code, data, "h")
