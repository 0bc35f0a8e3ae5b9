"""`ovms rotate-key`: seals what is sealed under old keys anew, and says which keys are needed still."""

from collections import defaultdict

from ovms.admin.errors import AdminError
from ovms.admin.target import Target
from ovms.db.engine import Pool, open_pool
from ovms.db.rotation import COLUMNS, Outcome, count_keys, find_marks, reseal, superfluous
from ovms.db.sealing import Sealer


async def rotate(target: Target, *, is_trial: bool) -> None:
    """Seal everything under the first key, and print what was done; nothing is changed in a trial.

    Raises:
        AdminError: something does not open under the keys that there are. It stays as it is.
    """
    sealer = target.sealer()
    async with await open_pool(target.database_url, size=1) as pool:
        outcomes = [] if is_trial else [await reseal(pool, column, sealer) for column in COLUMNS]
        for outcome in outcomes:
            print(f"{outcome.what}: {outcome.resealed} sealed anew under {sealer.current!r}")
        needs = await _needs(pool, sealer)
    for key_id, reasons in needs.items():
        print(f"key {key_id!r} is needed{'' if key_id in sealer.key_ids else ', and missing'}: {', '.join(reasons)}")
    for key_id in superfluous(sealer, needs):
        print(f"key {key_id!r} is no longer needed, unless a service seals with it still")
    if unopened := _unopened(outcomes):
        raise AdminError(f"not everything opens, and that stays as it was: {unopened}")


async def _needs(pool: Pool, sealer: Sealer) -> dict[str, list[str]]:
    """What needs each key but the current one, in words."""
    needs = defaultdict(list)
    for column in COLUMNS:
        for key_id, count in (await count_keys(pool, column)).items():
            if key_id != sealer.current:
                needs[key_id].append(f"{column.what} ({count})")
    for mark in await find_marks(pool, sealer):
        needs[mark.key_id].append(f"idempotency keys ({mark.count}), until {mark.until:%Y-%m-%d %H:%M} UTC")
    return needs


def _unopened(outcomes: list[Outcome]) -> str:
    return ", ".join(
        f"{outcome.what} under {key_id!r} ({count})" for outcome in outcomes for key_id, count in outcome.unopened.items()
    )
