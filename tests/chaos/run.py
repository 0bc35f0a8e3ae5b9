"""One run: a rig, a fleet, the faults of a seed, then time to settle, then the checks."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chaos import journal as seen
from chaos.checks import IN_THE_END, KNOWN_FAULTS, Violation, violations
from chaos.evidence import Evidence, NoEvidence, gather
from chaos.excuses import Excuses
from chaos.faults import MOST_CONNECTIONS, Faults
from chaos.fleet import Fleet, Size
from chaos.journal import Calm, Journal, Settled
from chaos.plan import draw
from fixtures.replicas import Rig

CONNECT_WITHIN: Final = 60.0
"""Seconds after the last fault for all to be in again: a car may have been told to wait."""
CONVERGE_WITHIN: Final = 15.0
LOOK_EVERY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is made of, besides its seed."""

    seconds: float
    """Of faults."""
    replicas: int = 3
    gateways: int = 2
    size: Size = field(default_factory=Size)
    keep: Path | None = None
    """A directory for the logs of the services and the journal."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run."""

    seed: int
    violations: list[Violation]
    known: list[Violation]
    """Those of `KNOWN_FAULTS`."""
    figures: dict[str, float]


def run(seed: int, setting: Setting, tell: Callable[[str], None]) -> Result:
    """Run one seed."""
    size = setting.size
    settings = {"max_connections": str(MOST_CONNECTIONS)}
    with Rig(replicas=setting.replicas, gateways=setting.gateways, owners=size.vehicles(), postgres_settings=settings) as rig:
        try:
            return asyncio.run(_run(seed, setting, rig, tell))
        finally:
            if setting.keep is not None:
                for program in rig.programs:
                    (setting.keep / f"{seed}-{program.name}.log").write_text(program.log)


async def _run(seed: int, setting: Setting, rig: Rig, tell: Callable[[str], None]) -> Result:
    began = time.monotonic()
    journal = Journal(lambda: time.monotonic() - began)

    def tell_time(line: str) -> None:
        tell(f"{journal.now():7.2f}  {line}")

    ports = {f"replica {number}": replica.port for number, replica in enumerate(rig.replicas, start=1)}
    urls = {f"gateway {number}": gateway.url for number, gateway in enumerate(rig.gateways, start=1)}
    fleet = Fleet(journal, setting.size, ports, urls, random.Random(seed))
    fleet.start()
    try:
        plan = draw(seed, setting.seconds, replicas=setting.replicas, gateways=setting.gateways)
        await Faults(rig, fleet, journal, tell_time).run(plan)
        tell_time("all faults have ended")
        await _await_everybody(fleet)
        evidence = await _settle(rig, fleet, journal, tell_time)
        found = violations(journal.events, evidence)
        known = [violation for violation in found if violation.invariant in KNOWN_FAULTS]
        return Result(seed, [violation for violation in found if violation not in known], known, figures(journal))
    finally:
        await fleet.stop()
        if setting.keep is not None:
            setting.keep.mkdir(parents=True, exist_ok=True)
            (setting.keep / f"{seed}-journal.txt").write_text("".join(f"{event}\n" for event in journal.events))


async def _await_everybody(fleet: Fleet) -> None:
    until = time.monotonic() + CONNECT_WITHIN
    while not fleet.is_in and time.monotonic() < until:
        fleet.check()
        await asyncio.sleep(LOOK_EVERY / 5)


async def _settle(rig: Rig, fleet: Fleet, journal: Journal, tell: Callable[[str], None]) -> Evidence:
    """Let everything come right, or the time for that go by; returns what is seen then."""
    fleet.hush()
    if fleet.is_in:
        journal.note(Settled(journal.now()))
        tell("everybody is in; the last round")
    until = journal.now() + CONVERGE_WITHIN
    fleet.last_states()
    await asyncio.sleep(max(0.0, Excuses(journal.events).calm_from() - journal.now()))
    journal.note(Calm(journal.now()))
    fleet.last_commands()
    while True:
        fleet.check()
        known = _stored_by_peers(journal)
        try:
            evidence = await gather(rig, fleet.vehicles, list(fleet.owners))
            # What is sent or acknowledged meanwhile may not have been in the tables yet when they were read.
            is_whole = _stored_by_peers(journal) == known
        except NoEvidence as error:
            evidence, is_whole = Evidence(crashes={"no evidence": [str(error)]}), True
        is_late = journal.now() > until
        if is_whole and (is_late or not violations(journal.events, evidence, IN_THE_END)):
            break
        if is_late and journal.now() > until + CONVERGE_WITHIN:
            break
        await asyncio.sleep(LOOK_EVERY)
    tell("settled")
    return evidence


def _stored_by_peers(journal: Journal) -> int:
    """Count what peers know or expect to be in the tables."""
    return sum(isinstance(event, seen.StateSent | seen.RecordAcknowledged) for event in journal.events)


def figures(journal: Journal) -> dict[str, float]:
    """How much was done, for who wants to know that a run was worth something."""
    kinds = Counter(type(event).__name__ for event in journal.events)
    counted = {
        "sockets": seen.Connected,
        "let in": seen.Welcomed,
        "states sent": seen.StateSent,
        "states heard": seen.StateHeard,
        "states read": seen.StateRead,
        "streams": seen.StreamOpened,
        "states streamed": seen.StateStreamed,
        "records made": seen.RecordMade,
        "records acknowledged": seen.RecordAcknowledged,
        "commands sent": seen.CommandSent,
        "commands delivered": seen.CommandDelivered,
        "commands answered": seen.CommandAnswered,
    }
    numbers: dict[str, float] = {name: kinds[kind.__name__] for name, kind in counted.items()}
    for status, count in sorted(Counter(call.status for call in journal.of(seen.Called)).items()):
        numbers[f"HTTP {status or 'no answer'}"] = count
    numbers["longest hold-up"] = round(max((held.seconds for held in journal.of(seen.Held)), default=0.0), 2)
    return numbers
