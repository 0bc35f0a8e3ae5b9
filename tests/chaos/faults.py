"""Carries the faults of a plan out."""

import asyncio
import subprocess
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import asyncpg

from chaos import plan
from chaos.fleet import Fleet
from chaos.journal import Drained, Ended, Faulted, Journal
from chaos.plan import Fault
from fixtures.replicas import NotReady, Program, Rig, Store

DRAIN_PATIENCE: Final = 30.0

MOST_CONNECTIONS: Final = 50
"""Of the PostgreSQL of a run."""
_LOOK_AGAIN: Final = 0.05

Tell = Callable[[str], None]


class Faults:
    """What happens to the rig and the fleet.

    Args:
        tell: takes a line for who watches.
    """

    def __init__(self, rig: Rig, fleet: Fleet, journal: Journal, tell: Tell) -> None:
        self._rig = rig
        self._fleet = fleet
        self._journal = journal
        self._tell = tell
        self._busy: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """One thing at a time happens to a part, though what happened before may have taken longer than planned."""
        self._programs: dict[str, Program] = {}
        for kind, programs in ((plan.REPLICA, rig.replicas), (plan.GATEWAY, rig.gateways)):
            self._programs |= {f"{kind} {number}": program for number, program in enumerate(programs, start=1)}
        self._stores = {plan.REDIS: rig.valkey, plan.POSTGRES: rig.postgres}

    async def run(self, faults: list[Fault]) -> None:
        """Carry all out, each at its time; returns when the last has ended."""
        began = self._journal.now()
        async with asyncio.TaskGroup() as tasks:
            for fault in faults:
                tasks.create_task(self._at(began + fault.begins, fault))

    async def _at(self, begins: float, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, begins - self._journal.now()))
        lock = self._busy[fault.target] if fault.target != plan.FLEET else asyncio.Lock()
        async with lock:
            if fault.target in self._programs:
                await self._fail_program(fault, self._programs[fault.target])
            elif fault.target in self._stores:
                await self._fail_store(fault, self._stores[fault.target])
            else:
                await self._disturb(fault)

    async def _fail_program(self, fault: Fault, program: Program) -> None:
        began = self._journal.now()
        self._tell(str(fault))
        if not program.is_running:
            self._journal.note(Ended(began, fault.target, f"it has ended by itself, status {program.process.returncode}"))
        elif fault.kind == plan.PAUSE:
            program.pause()
        elif fault.kind == plan.KILL:
            await self._rig.aside(program.kill)
        else:
            await self._drain(fault, program)
        await asyncio.sleep(fault.lasts)
        if program.is_running:
            program.resume()
        else:
            await self._start(fault, program)
        self._end(fault, began)

    async def _drain(self, fault: Fault, program: Program) -> None:
        began = self._journal.now()
        try:
            status = await self._rig.aside(program.terminate, DRAIN_PATIENCE)
        except subprocess.TimeoutExpired:
            status = -1
            await self._rig.aside(program.kill)
        now = self._journal.now()
        self._tell(f"  {fault.target} has ended with status {status} after {now - began:.1f} s")
        self._journal.note(Drained(now, fault.target, status, now - began))

    async def _start(self, fault: Fault, program: Program) -> None:
        try:
            await self._rig.aside(program.start)
        except NotReady as error:
            self._journal.note(Ended(self._journal.now(), fault.target, f"not ready: {error}"))

    async def _fail_store(self, fault: Fault, store: Store) -> None:
        began = self._journal.now()
        self._tell(str(fault))
        if fault.kind == plan.PAUSE:
            await self._rig.aside(store.pause)
            await asyncio.sleep(fault.lasts)
            await self._rig.aside(store.resume)
        elif fault.kind == plan.RESTART:
            await self._rig.aside(store.stop)
            await asyncio.sleep(fault.lasts)
            await self._rig.aside(store.start)
        elif fault.kind == plan.FILL:
            await _fill(store.url, fault.lasts)
        else:
            await self._rig.aside(store.kill)
            await asyncio.sleep(fault.lasts)
            await self._rig.aside(partial(store.restart, empty=fault.target == plan.REDIS))
        self._end(fault, began)

    async def _disturb(self, fault: Fault) -> None:
        began = self._journal.now()
        match fault.kind:
            case plan.TAKEOVER:
                self._tell(f"takeover: {self._fleet.take_over()} cars go elsewhere, their old sockets stay open")
            case plan.CUT:
                self._tell(f"cut: {self._fleet.cut()} connections are reset")
            case plan.BURST:
                self._tell(f"burst: {self._fleet.burst()} cars come back at once")
            case plan.TWINS:
                twins = self._fleet.double()
                self._tell(f"twins: {', '.join(twin.vehicle for twin in twins)} log in twice, {fault.lasts:.1f} s")
                await asyncio.sleep(fault.lasts)
                await self._fleet.single(twins)
        self._end(fault, began)

    def _end(self, fault: Fault, began: float) -> None:
        now = self._journal.now()
        if fault.target != plan.FLEET:
            self._tell(f"  {fault.target} is back after {now - began:.1f} s")
        self._journal.note(Faulted(began, now, fault.kind, fault.target))


async def _fill(url: str, seconds: float) -> None:
    """Take every connection that PostgreSQL has left, and whatever becomes free."""
    taken: list[Any] = []
    until = asyncio.get_running_loop().time() + seconds
    try:
        while asyncio.get_running_loop().time() < until:
            try:
                taken.append(await asyncpg.connect(url))
            except (asyncpg.PostgresError, OSError):
                await asyncio.sleep(_LOOK_AGAIN)
    finally:
        for connection in taken:
            connection.terminate()
