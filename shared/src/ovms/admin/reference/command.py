"""`ovms import-reference`: reads the database of a reference server, and says what was taken and what was not."""

import sys
import time
from datetime import UTC, datetime
from typing import Final

from ovms.admin.errors import AdminError, InputError
from ovms.admin.reference.progress import Progress
from ovms.admin.reference.report import Report
from ovms.admin.reference.work import Import
from ovms.admin.target import REFERENCE_URL, Target
from ovms.db.engine import Connection, open_pool
from ovms.db.reference.address import Address, AddressError, read_address
from ovms.db.reference.source import Source
from ovms.db.reference.taking import take_lock

_ANSWER_WITHIN: Final = 600.0
"""A batch has thousands of rows, and a database that is being filled its own work to do."""


async def bring(target: Target, *, has_plain_passwords: bool, is_trial: bool) -> None:
    """Bring everything; nothing is kept of a trial.

    Raises:
        AdminError: the address is not given, or another import is under way.
        SourceError: the reference's database cannot be read. What has been brought stays.
    """
    address, sealer = _address(target), target.sealer()
    report = Report()
    source = Source.open(address)
    try:
        async with await open_pool(target.database_url, size=1, answer_within=_ANSWER_WITHIN) as pool, pool.acquire() as db:
            if not await take_lock(db):
                raise AdminError("another import is under way")
            work = Import(
                source,
                db,
                sealer,
                report=report,
                progress=Progress(_say, time.monotonic),
                has_plain_passwords=has_plain_passwords,
                is_trial=is_trial,
                clock=lambda: datetime.now(UTC),
            )
            await (_take_back(db, work) if is_trial else work.run())
    finally:
        source.close()
    print("\n".join(report.lines()))
    if is_trial:
        print("this was a trial: nothing of it was kept")


async def _take_back(db: Connection, work: Import) -> None:
    transaction = db.transaction()
    await transaction.start()
    try:
        await work.run()
    finally:
        await transaction.rollback()


def _address(target: Target) -> Address:
    if not target.reference_url:
        raise AdminError(f"{REFERENCE_URL} is not set: mysql://user:password@host/database")
    try:
        return read_address(target.reference_url)
    except AddressError as error:
        raise InputError(f"{REFERENCE_URL}: {error}") from None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
