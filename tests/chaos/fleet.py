"""All peers of a run, and what can be done to them."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chaos.apps import App
from chaos.callers import Caller
from chaos.cars import Car, Ports
from chaos.journal import Doubled, Held, Journal
from chaos.module import Module
from chaos.streams import StreamReader
from ovms.identity import Role

TWIN_NUMBERS: Final = 1_000_000_000
_BEAT: Final = 0.05
_HELD: Final = 0.1


@dataclass(frozen=True, slots=True)
class Size:
    """How many there are of each."""

    owners: int = 6
    cars_each: int = 10
    apps: int = 24
    batch: int = 4

    def vehicles(self) -> dict[str, list[str]]:
        """The vehicles of each owner."""
        return {
            f"owner{owner}": [f"CAR{owner}-{number}" for number in range(1, self.cars_each + 1)]
            for owner in range(1, self.owners + 1)
        }


class Fleet:
    """Every car, with apps on some of them, and of every owner an HTTP client and a reader of its event stream."""

    def __init__(self, journal: Journal, size: Size, ports: Ports, urls: Mapping[str, str], dice: random.Random) -> None:
        self._journal = journal
        self._ports = ports
        self._dice = dice
        self._tasks: set[asyncio.Task[None]] = set()
        self._twins_made = 0
        self.owners = size.vehicles()
        self.vehicles = [vehicle for vehicles in self.owners.values() for vehicle in vehicles]
        self.cars = [Car(journal, Module(vehicle), ports, self._dice_of_its_own()) for vehicle in self.vehicles]
        self.twins: list[Car] = []
        roles = [Role.APP] * size.apps + [Role.BATCH] * size.batch
        # Few vehicles, so that some have several watchers.
        watched = self.vehicles[:: max(1, 2 * len(self.vehicles) // len(roles))]
        self.apps = [App(journal, role, dice.choice(watched), ports, self._dice_of_its_own()) for role in roles]
        self.callers = [
            Caller(journal, owner, vehicles[0], urls, self._dice_of_its_own()) for owner, vehicles in self.owners.items()
        ]
        self.streams = [
            StreamReader(journal, owner, vehicles, urls, self._dice_of_its_own()) for owner, vehicles in self.owners.items()
        ]

    @property
    def peers(self) -> list[Car | App]:
        """All that speak protocol v2 and stay to the end."""
        return [*self.cars, *self.apps]

    @property
    def is_in(self) -> bool:
        """Whether all cars and watchers are connected, all HTTP clients count as watching and all event streams are open."""
        return (
            all(peer.is_in for peer in self.peers)
            and all(caller.is_watching for caller in self.callers)
            and all(stream.is_open for stream in self.streams)
        )

    def start(self) -> None:
        """Let everybody connect."""
        for peer in self.peers:
            self._start(peer)
        for client in [*self.callers, *self.streams]:
            self._start(client)
        self._keep(asyncio.create_task(self._beat()))

    async def stop(self) -> None:
        """Let everybody go.

        Raises:
            Whatever a peer has ended with: nobody ends by himself.
        """
        ended = [task for task in self._tasks if task.done()]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in [*self.peers, *self.twins]:
            peer.leave()
        for task in ended:
            task.result()

    def check(self) -> None:
        """Make sure that everybody is at work.

        Raises:
            Whatever a peer has ended with.
        """
        for task in self._tasks:
            if task.done():
                task.result()

    # ---- what is done to them

    def take_over(self) -> int:
        """Some cars go to another replica; their old sockets stay open."""
        chosen = self._dice.sample(self.cars, len(self.cars) // 5)
        for car in chosen:
            car.take_over()
        return len(chosen)

    def cut(self) -> int:
        """Some connections are reset."""
        chosen = [peer for peer in self.peers if self._dice.random() < 0.3]
        for peer in chosen:
            peer.cut()
        return len(chosen)

    def burst(self) -> int:
        """All cars lose their connections at once, and come back."""
        for car in self.cars:
            car.cut()
        return len(self.cars)

    def double(self) -> list[Car]:
        """Some cars have a second module from now on, with the same id; returns these."""
        twins = []
        for car in self._dice.sample(self.cars, 2):
            self._twins_made += 1
            module = Module(car.vehicle, self._twins_made * TWIN_NUMBERS)
            twin = Car(self._journal, module, self._ports, self._dice_of_its_own(), leaves=True)
            self._journal.note(Doubled(self._journal.now(), car.vehicle))
            self._start(twin)
            twins.append(twin)
        self.twins += twins
        return twins

    async def single(self, twins: list[Car]) -> None:
        """Second modules leave for good."""
        for task in [task for task in self._tasks if task.get_name() in {_name(twin) for twin in twins}]:
            task.cancel()
            await asyncio.wait([task])
            self._tasks.discard(task)
        for twin in twins:
            twin.leave()

    def hush(self) -> None:
        """Cars and apps send only what they are told to from now on; what waits still goes."""
        for peer in self.peers:
            peer.is_quiet = True

    def last_states(self) -> None:
        """Every car sends its state."""
        for car in self.cars:
            car.send_state()

    def last_commands(self) -> None:
        """Every app sends a command."""
        for app in self.apps:
            app.command()

    def _start(self, peer: Car | App | Caller | StreamReader) -> None:
        self._keep(asyncio.create_task(peer.run(), name=_name(peer)))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)

    def _dice_of_its_own(self) -> random.Random:
        return random.Random(self._dice.random())

    async def _beat(self) -> None:
        """Note where the loop of the fleet has been held up: it sees late then what happened."""
        while True:
            before = self._journal.now()
            await asyncio.sleep(_BEAT)
            late = self._journal.now() - before - _BEAT
            if late > _HELD:
                self._journal.note(Held(self._journal.now(), late))


def _name(peer: Car | App | Caller | StreamReader) -> str:
    return f"peer {id(peer)}"
