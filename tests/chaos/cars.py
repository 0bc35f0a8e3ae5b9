"""A car that comes back at once, to any replica, whenever it is let go or hears nothing for too long."""

import asyncio
import random
from collections.abc import Mapping
from typing import Final

from chaos.journal import (
    CommandDelivered,
    Counted,
    Journal,
    RecordAcknowledged,
    RecordMade,
    StateSent,
)
from chaos.link import Link
from chaos.module import CODES, SELDOM, Module
from ovms.identity import Role

TICK: Final = 0.5
PING_EVERY: Final = 2.0
PATIENCE: Final = (4.0, 12.0)
"""Seconds of silence after which a car goes elsewhere: each has its own."""
WELCOME_PATIENCE: Final = (4.0, 60.0)
RECORD_EVERY: Final = 3.0
REFUSED: Final = (0.1, 0.5)
COMMAND: Final = 7

Ports = Mapping[str, int]


class Car:
    """One module and its connections.

    Args:
        ports: where each replica is.
        leaves: it is a second module, which does not come back in the end.
    """

    def __init__(self, journal: Journal, module: Module, ports: Ports, dice: random.Random, *, leaves: bool = False) -> None:
        self.module = module
        self.link: Link | None = None
        """The connection that it uses, where it has one."""
        self.is_quiet = False
        """It sends no states by itself any more."""
        self._journal = journal
        self._ports = ports
        self._dice = dice
        self._leaves = leaves
        self._patience = dice.uniform(*PATIENCE)
        self._welcome_patience = dice.choice(WELCOME_PATIENCE)
        self._links: list[Link] = []
        self._avoids = ""

    @property
    def vehicle(self) -> str:
        return self.module.vehicle

    @property
    def is_in(self) -> bool:
        """Whether it is connected and was let in."""
        return self.link is not None and self.link.is_in_use

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            replica = self._dice.choice([name for name in self._ports if name != self._avoids] or list(self._ports))
            link = Link(self._journal, Role.CAR, self.vehicle, replica, self._hear)
            self._avoids = ""
            if await link.open(self._ports[replica]):
                self.link = link
                self._links.append(link)
                await self._log_in(link)
                await self._live(link)
            await asyncio.sleep(0 if self._avoids else self._dice.uniform(*REFUSED))

    def take_over(self) -> None:
        """Go to another replica, and leave the old socket as it is."""
        if self.link is not None and not self.link.is_closed:
            self._avoids = self.link.replica
            self.link.desert()

    def cut(self) -> None:
        """Lose the connection."""
        if self.link is not None:
            self.link.end("cut")

    def leave(self) -> None:
        """End all that is open."""
        for link in self._links:
            link.end("left")

    def send_state(self, codes: str = CODES) -> None:
        """Send a new state of each code, where it is connected."""
        if self.link is None or not self.is_in:
            return
        for code in codes:
            if self.link.send(self.module.state(code, self.link.number)):
                self._journal.note(StateSent(self._journal.now(), self.link.number, code, self.module.newest[code]))

    async def _log_in(self, link: Link) -> None:
        until = self._journal.now() + self._welcome_patience
        while not (link.is_welcome or link.is_closed or link.is_deserted):
            left = until - self._journal.now()
            if left <= 0:
                link.end("not let in")
            else:
                await link.changes(left)

    async def _live(self, link: Link) -> None:
        self.module.reconnected()
        self.send_state(CODES + SELDOM)
        pinged_at = self._journal.now()
        while not (link.is_closed or link.is_deserted):
            now = self._journal.now()
            if now - link.heard_at > self._patience:
                link.end("silent")
                return
            if now - pinged_at >= PING_EVERY:
                pinged_at = now
                link.send(b"A")
            if not self.is_quiet:
                self._work(now)
            link.send(*self.module.records_due(now))
            await link.changes(TICK * self._dice.uniform(0.7, 1.3))

    def _work(self, now: float) -> None:
        self.send_state()
        if self._dice.random() < TICK / RECORD_EVERY:
            self._journal.note(RecordMade(now, self.vehicle, self.module.make_record(now), self._leaves))

    def _hear(self, link: Link, message: bytes) -> None:
        now, code, data = self._journal.now(), message[:1], message[1:]
        if code == b"C":
            number = int(data.split(b",")[1])
            self._journal.note(CommandDelivered(now, link.number, number))
            if not link.is_deserted:
                link.send(b"c%d,0,%d" % (COMMAND, number))
        elif code == b"Z":
            self._journal.note(Counted(now, link.number, int(data)))
        elif link.is_deserted:
            return  # what a car that has gone does not hear
        elif code == b"A":
            link.send(b"a")
        elif code == b"h" and self.module.acknowledge(int(data)):
            self._journal.note(RecordAcknowledged(now, self.vehicle, int(data)))
