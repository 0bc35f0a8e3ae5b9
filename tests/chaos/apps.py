"""An app or a batch client that watches one car, and sends it commands."""

import asyncio
import random
from typing import Final

from chaos.cars import COMMAND, PATIENCE, PING_EVERY, REFUSED, TICK, Ports
from chaos.journal import CommandAnswered, CommandSent, Counted, Journal, StateHeard
from chaos.link import Link
from chaos.module import CODES, SELDOM
from ovms.identity import Role

COMMAND_EVERY: Final = 2.0
_STATES: Final = frozenset((CODES + SELDOM).encode())


class App:
    """It comes back to any replica, as a car does."""

    def __init__(self, journal: Journal, role: Role, vehicle: str, ports: Ports, dice: random.Random) -> None:
        self.vehicle = vehicle
        self.link: Link | None = None
        self.is_quiet = False
        """It sends no commands by itself any more."""
        self._role = role
        self._journal = journal
        self._ports = ports
        self._dice = dice
        self._patience = dice.uniform(*PATIENCE)
        self._asked: dict[int, int] = {}
        """The socket of each command."""

    @property
    def is_in(self) -> bool:
        """Whether it is connected and was let in."""
        return self.link is not None and self.link.is_in_use

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            replica = self._dice.choice(list(self._ports))
            self.link = link = Link(self._journal, self._role, self.vehicle, replica, self._hear)
            if await link.open(self._ports[replica]):
                await self._live(link)
            await asyncio.sleep(self._dice.uniform(*REFUSED))

    def command(self) -> None:
        """Send a command that no other is like, where it is connected."""
        if self.link is not None and self.is_in:
            number = self._journal.new_command()
            self._asked[number] = self.link.number
            self._journal.note(CommandSent(self._journal.now(), self.link.number, number))
            self.link.send(b"C%d,%d" % (COMMAND, number))

    def cut(self) -> None:
        """Lose the connection."""
        if self.link is not None:
            self.link.end("cut")

    def leave(self) -> None:
        """End what is open."""
        if self.link is not None:
            self.link.end("left")

    async def _live(self, link: Link) -> None:
        pinged_at = self._journal.now()
        while not link.is_closed:
            now = self._journal.now()
            if now - link.heard_at > self._patience:
                link.end("silent")
                return
            if now - pinged_at >= PING_EVERY:
                pinged_at = now
                link.send(b"A")
            if not self.is_quiet and self._dice.random() < TICK / COMMAND_EVERY:
                self.command()
            await link.changes(TICK)

    def _hear(self, link: Link, message: bytes) -> None:
        now, code, data = self._journal.now(), message[:1], message[1:]
        if code == b"Z":
            self._journal.note(Counted(now, link.number, int(data)))
        elif message[0] in _STATES:
            number, car = data.split(b",")[:2]
            self._journal.note(StateHeard(now, link.number, code.decode(), int(number), int(car)))
        elif code == b"c":
            self._hear_answer(link, data, now)

    def _hear_answer(self, link: Link, data: bytes, now: float) -> None:
        _, result, text = data.split(b",", 2)
        # Other results say that the car is not connected. An answer that nobody has asked for is told to all who watch.
        if result == b"0" and self._asked.get(int(text)) == link.number:
            self._journal.note(CommandAnswered(now, link.number, int(text)))
