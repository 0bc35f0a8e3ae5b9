"""Brings what a reference server holds, kind by kind: whom or what the next kind belongs to is there before it.

An import that was interrupted is begun anew: what is here already stays as it is, and the history, which is long, goes on
where it was. A trial adds owners and vehicles, since the others belong to them, and its caller takes that back; the rest is
read and looked at only, so that no row is locked that cars or callers write.
"""

import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from itertools import chain
from typing import Final

import asyncpg

from ovms.admin.reference.progress import Progress
from ovms.admin.reference.report import Report
from ovms.db import drupal
from ovms.db.engine import Connection
from ovms.db.partitions import ensure_partitions
from ovms.db.passwords import hash_password
from ovms.db.reference import rows, taking
from ovms.db.reference.rows import LeftOut
from ovms.db.reference.source import PAGE, Row, Source, SourceTable, key_of
from ovms.db.sealing import Sealer

_OF_HISTORY: Final = 2  # owner and vehicle: the first columns of its key
_NO_OWNER: Final = 0


class Import:
    """One import.

    Args:
        has_plain_passwords: whether owners' passwords are stored there as they are (AuthDbSimple).
        is_trial: whether nothing is to be kept.
        clock: what time it is.
    """

    def __init__(
        self,
        source: Source,
        connection: Connection,
        sealer: Sealer,
        *,
        report: Report,
        progress: Progress,
        has_plain_passwords: bool,
        is_trial: bool,
        clock: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._db = connection
        self._sealer = sealer
        self._report = report
        self._progress = progress
        self._has_plain_passwords = has_plain_passwords
        self._is_trial = is_trial
        self._clock = clock
        self._owners: dict[int, int] = {}
        """Their keys here, by their numbers there."""
        self._vehicles: dict[tuple[int, str], int] = {}
        """Their keys here, by owner's number and folded id."""
        self._went_on = False
        """Whether an earlier import has not come to its end."""

    async def run(self) -> None:
        """Bring everything."""
        if not self._is_trial:
            with suppress(asyncpg.LockNotAvailableError):  # the services make them as well
                await ensure_partitions(self._db, self._clock())
        await self._each("owners", rows.OWNERS, self._owner)
        await self._take_vehicles()
        await self._take_messages()
        await self._take_history()
        await self._each("tokens", rows.TOKENS, self._token)
        await self._each("subscriptions", rows.SUBSCRIPTIONS, self._subscription)
        await self._each("configurations", rows.CONFIGURATIONS, self._configuration)

    # ---- kinds whose rows are taken one by one

    async def _each(self, kind: str, table: SourceTable, take: Callable[[Row], Awaitable[bool]]) -> None:
        if not self._begin(kind, table):
            return
        for page in self._source.pages(table):
            async with self._db.transaction():
                for row in page:
                    await self._take(kind, row, take)
            self._progress.advance(len(page))

    async def _take(self, kind: str, row: Row, take: Callable[[Row], Awaitable[bool]]) -> None:
        try:
            is_new = await take(row)
        except LeftOut as reason:
            self._report.leave(kind, str(reason), _name(kind, row))
        else:
            self._report.take(kind, new=int(is_new), known=int(not is_new))

    async def _owner(self, row: Row) -> bool:
        owner = rows.read_owner(row)
        brought = owner.password if drupal.is_hash(owner.password) else None
        key = await taking.known_owner(self._db, owner)
        if key is None:
            key = self._owners[owner.number] = await taking.add_owner(self._db, owner, brought or self._hash(owner))
            return True
        self._owners[owner.number] = key
        if not self._is_trial:
            await taking.change_owner(self._db, key, owner, brought)
        return False

    def _hash(self, owner: rows.Owner) -> str:
        if self._has_plain_passwords and owner.password:
            return hash_password(owner.password)
        self._report.note("owners", "without a password that can be checked: give one with `ovms owner password`", owner.name)
        return hash_password(secrets.token_hex(32))

    async def _vehicle(self, row: Row) -> bool:
        vehicle, owner = rows.read_vehicle(row), self._owner_of(row)
        key, is_new = await taking.take_vehicle(self._db, owner, vehicle, self._sealer)
        self._vehicles[rows.vehicle_of(row)] = key
        return is_new

    async def _token(self, row: Row) -> bool:
        token, owner = rows.read_token(row), self._owner_of(row)
        return self._is_trial or await taking.take_token(self._db, owner, token)

    async def _subscription(self, row: Row) -> bool:
        subscription, vehicle = rows.read_subscription(row), self._vehicle_of(row)
        return self._is_trial or await taking.take_subscription(self._db, vehicle, subscription)

    async def _configuration(self, row: Row) -> bool:
        configuration = rows.read_configuration(row)
        owner = None if configuration.owner == _NO_OWNER else self._owner_of(row)
        return self._is_trial or await taking.take_configuration(self._db, owner, configuration)

    # ---- vehicles: of one id, the one that was heard last

    async def _take_vehicles(self) -> None:
        if not self._begin("vehicles", rows.CARS):
            return
        # All at once: a fleet's vehicles are few beside what they say.
        found = sorted(chain.from_iterable(self._source.pages(rows.CARS)), key=_heard_at, reverse=True)
        for start in range(0, len(found), PAGE):
            page = found[start : start + PAGE]
            async with self._db.transaction():
                for row in page:
                    await self._take("vehicles", row, self._vehicle)
            self._progress.advance(len(page))

    # ---- messages and history, many at once

    async def _take_messages(self) -> None:
        if not self._begin("messages", rows.MESSAGES):
            return
        for page in self._source.pages(rows.MESSAGES):
            found: dict[tuple[int, str], rows.Message] = {}
            for row in page:
                try:
                    vehicle, message = self._vehicle_of(row), rows.read_message(row)
                except LeftOut as reason:
                    self._report.leave("messages", str(reason), _name("messages", row))
                else:
                    found[vehicle, message.code] = message
            new = len(found)
            if found and not self._is_trial:
                new = await taking.take_messages(self._db, [(vehicle, message) for (vehicle, _), message in found.items()])
            self._report.take("messages", new=new, known=len(found) - new)
            self._progress.advance(len(page))

    async def _take_history(self) -> None:
        if not (total := self._begin("history", rows.HISTORY)):
            return
        seen = 0
        for (owner, vehicle_id), vehicle in sorted(self._vehicles.items(), key=lambda item: item[1]):
            seen += await self._take_history_of(owner, vehicle_id, vehicle)
        if self._went_on:
            self._report.leave_unseen(
                "history", "its vehicle is left out, or it was taken before the interruption", total - seen
            )
            self._report.remark("went on after an interruption: run it again for the history that was added since")
        else:
            self._report.leave_unseen("history", "its vehicle is left out", total - seen)
        if not self._is_trial:
            await taking.forget_positions(self._db)

    async def _take_history_of(self, owner: int, vehicle_id: str, vehicle: int) -> int:
        position = None if self._is_trial else await taking.find_position(self._db, vehicle)
        after: tuple[str, ...] | None = None
        if position is not None:
            self._went_on = True
            if position.is_finished:
                return 0
            after = (position.record_type.decode(), str(position.record_number), position.recorded_at)
        seen = 0
        while True:
            page = self._source.page(rows.HISTORY, after, owner=owner, vehicleid=vehicle_id)
            records = self._records(page)
            if page:
                after = key_of(rows.HISTORY, page[-1], _OF_HISTORY)
            is_finished = len(page) < PAGE
            new = len(records)
            if not self._is_trial:
                reached = taking.Position(*_position(after), is_finished)
                new = await taking.take_history(self._db, vehicle, records, reached)
            self._report.take("history", new=new, known=len(records) - new)
            self._progress.advance(len(page))
            seen += len(page)
            if is_finished:
                return seen

    def _records(self, page: list[Row]) -> list[rows.Record]:
        now = self._clock()
        found = {}
        for row in page:
            try:
                record = rows.read_record(row, now)
            except LeftOut as reason:
                self._report.leave("history", str(reason), _name("history", row))
            else:
                found[record.record_type, record.number, record.recorded_at] = record
        return list(found.values())

    # ---- whose it is

    def _owner_of(self, row: Row) -> int:
        if (owner := self._owners.get(rows.owner_of(row))) is None:
            raise LeftOut("its owner is left out")
        return owner

    def _vehicle_of(self, row: Row) -> int:
        if (vehicle := self._vehicles.get(rows.vehicle_of(row))) is None:
            raise LeftOut("its vehicle is left out")
        return vehicle

    def _begin(self, kind: str, table: SourceTable) -> int:
        """How many rows there are, if there is such a table."""
        if not self._source.has(table):
            self._report.remark(f"no table {table.name} there")
            return 0
        total = self._source.count(table)
        self._progress.begin(kind, total)
        return total


def _position(after: tuple[str, ...] | None) -> tuple[bytes, int, str]:
    if after is None:
        return b"", 0, ""
    record_type, number, recorded_at = after
    return record_type.encode(), int(number), recorded_at


def _heard_at(row: Row) -> tuple[bytes, int]:
    # As it is written: times that do not exist are the oldest. Of equal ones the owner with the lowest number.
    return row["v_lastupdate"], -rows.owner_of(row)


def _name(kind: str, row: Row) -> str:
    """What a row is called in the report: never by what may be a secret."""
    if kind == "configurations":
        return row["ap_key"].decode("utf-8", "replace")
    owner = f"owner {rows.owner_of(row)}"
    return f"{owner}: {row['vehicleid'].decode('utf-8', 'replace')!r}" if "vehicleid" in row else owner
