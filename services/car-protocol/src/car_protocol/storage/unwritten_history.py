"""History records that wait for their commit, and who is told what after it."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from car_protocol.rooms.hub import Peer
from ovms.db.writer import HistoryValues

ROW_COST: Final = 200
"""What a waiting row takes besides its data, roughly."""

_DATA: Final = 4
"""The place of the data among the values of a row."""


class Waiting:
    """A record that is not written yet, and who is told what when it is."""

    __slots__ = ("acknowledge", "identity", "row")

    def __init__(self, identity: tuple[object, ...], row: HistoryValues) -> None:
        self.identity = identity
        self.row = row
        self.acknowledge: list[tuple[Peer, bytes]] = []


Batch: TypeAlias = list[Waiting]
"""The records of a statement."""


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
        """Return the pending records in batches of at most `size`; they are being written from now on."""
        self._writing, self._waiting = self._waiting, {}
        records = list(self._writing.values())
        return [records[start : start + size] for start in range(0, len(records), size)]

    def end(self, batch: Batch, refused: Sequence[HistoryValues], now: float) -> int:
        """A batch is committed but for what PostgreSQL has refused: tell those who wait for it. Returns how large it was."""
        size = 0
        for waiting in batch:
            if waiting.row not in refused:
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
                size += len(waiting.row[_DATA]) + ROW_COST
                former.acknowledge += waiting.acknowledge
        return size


def _identity(row: HistoryValues) -> tuple[object, ...]:
    """Return what two records have in common that are one (docs/decisions/0006).

    A car that repeats a record repeats its acknowledgement code and data, not its time. What is not acknowledged is not
    repeated: there the time is part of it.
    """
    vehicle, record_type, number, recorded_at, data, _, ack_code = row
    return (vehicle, record_type, number, ack_code, data, recorded_at if ack_code is None else None)
