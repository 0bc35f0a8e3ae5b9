"""Follows the vehicles that somebody is connected to here: who is connected elsewhere, and what a car elsewhere says."""

import asyncio
import math
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple

import structlog

from car_protocol.rooms.hub import Elsewhere, Hub, Room
from car_protocol.rooms.replicas import Replicas
from ovms.bus.channels import messages_channel, peers_channel
from ovms.bus.client import Client
from ovms.bus.errors import FAILURES
from ovms.bus.messages import read_message
from ovms.bus.presence import Presence, Present, present_of
from ovms.bus.replicas import Written
from ovms.bus.subscriptions import Subscriptions
from ovms.identity import VehicleName
from ovms.outages import REDIS, report_outage
from ovms.stopping import raise_if_cancelled

LOOK_EVERY: Final = 1.0
"""Seconds after which leases of HTTP sessions are looked at: nobody publishes that one has run out."""
REDIS_TIMEOUT: Final = 5.0
ASKED_AT_ONCE: Final = 1000
"""Vehicles."""
ECHO_WITHIN: Final = 1.0
"""Seconds in which what this replica has published comes back to it, unless Redis hangs."""
NEVER_ENDING: Final = 1 << 62


class Learnt(NamedTuple):
    """Until when PostgreSQL and what is not written tell of a car: what it has said since is heard here."""

    session: int = NEVER_ENDING
    """The epoch of a session: what came in later ones is heard."""
    number: float = math.inf
    """That of a message in it: what has a greater one is heard."""
    written: Written | None = None
    """What its replica has not written; None where there is no such replica."""


Answer = Callable[[Learnt], None]


class Follower:
    """Subscribes to the peers channel of every vehicle with a room here, and to its messages where the car is not here.

    Args:
        forward: gives a car's message from elsewhere to those who watch here.
        missed: called where those who watch a car elsewhere may have missed some of what it said.
        monotonic: the clock that messages are sent with.
        wall: the Unix time, against which leases end.
    """

    def __init__(
        self,
        client: Client,
        subscriptions: Subscriptions,
        hub: Hub,
        replicas: Replicas,
        *,
        forward: Callable[[Room, bytes, float], None],
        missed: Callable[[Room], None],
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._presence = Presence(client)
        self._subscriptions = subscriptions
        self._hub = hub
        self._replicas = replicas
        self._forward = forward
        self._missed = missed
        self._monotonic = monotonic
        self._wall = wall
        self._rooms: dict[int, Room] = {}
        self._heard: set[int] = set()
        """Vehicles whose messages are subscribed to, or soon will be."""
        self._hears: set[int] = set()
        """Those of them whose every message is heard by now."""
        self._echoes: dict[int, object] = {}
        """Those of them whose car has just left here: what it said is on its way back to us, and no news."""
        self._may_have_missed: set[int] = set()
        self._told_by: dict[int, tuple[int, str]] = {}
        """Of those of them whose car is or was elsewhere, its newest session there and its replica."""
        self._learning: dict[int, list[Answer]] = {}
        self._to_ask: dict[VehicleName, Room] = {}
        self._work = asyncio.Event()
        self._log = structlog.get_logger("follower")

    # ---- what is subscribed to

    def changed(self, room: Room) -> None:
        """Follow a room from now on, or no more; called by the hub."""
        vehicle = room.vehicle
        if room.is_empty():
            if self._rooms.get(vehicle) is room:
                del self._rooms[vehicle]
                self._subscriptions.leave(peers_channel(room.name).encode())
                self._hear_no_messages(room)
            return
        if self._rooms.get(vehicle) is not room:
            self._rooms[vehicle] = room
            self._subscriptions.hear(peers_channel(room.name).encode(), _Peers(self, room))
            self._hear_no_messages(room)
        if room.car is not None:
            self._hear_no_messages(room)
        elif vehicle not in self._heard:
            self._heard.add(vehicle)
            self._subscriptions.hear(messages_channel(room.name).encode(), _Messages(self, room))

    def _hear_no_messages(self, room: Room) -> None:
        if room.vehicle in self._heard:
            self._heard.remove(room.vehicle)
            self._hears.discard(room.vehicle)
            self._echoes.pop(room.vehicle, None)
            self._may_have_missed.discard(room.vehicle)
            self._told_by.pop(room.vehicle, None)
            self._subscriptions.leave(messages_channel(room.name).encode())
        for answer in self._learning.pop(room.vehicle, ()):
            # The car is here now, or nobody is any more.
            answer(Learnt(room.epoch - 1))

    def learn(self, room: Room, answer: Answer) -> None:
        """Call `answer` once every message of a car elsewhere is heard here.

        It may never be called, since Redis or the car's replica may be away; who still waits may ask again.
        """
        answers = self._learning.setdefault(room.vehicle, [])
        if answer not in answers:
            answers.append(answer)
        if room.vehicle in self._hears:
            self.ask_about(room)

    def forget(self, room: Room, answer: Answer) -> None:
        """Nobody waits for this answer any more."""
        answers = self._learning.get(room.vehicle, [])
        if answer in answers:
            answers.remove(answer)

    def may_have_missed(self, room: Room) -> None:
        """Make up for what was missed of a car that is nowhere, once it is somewhere."""
        if room.vehicle in self._hears:
            self._may_have_missed.add(room.vehicle)

    def elsewhere(self, present: Present) -> Elsewhere:
        """Who of those who are connected is not connected here."""
        others = {name: connected for name, connected in present.replicas.items() if name not in self._replicas.names}
        if not others:  # nearly always, so it costs little
            return Elsewhere(http=present.http, at=present.at)
        replica = max(others, key=lambda name: (others[name].session, name))
        apps = sum(connected.apps for connected in others.values())
        outranks = replica > self._replicas.name
        return Elsewhere(others[replica].session, replica, outranks, apps, present.http, present.at)

    # ---- what Redis tells

    def peers_changed(self, room: Room, body: bytes) -> None:
        """Who is connected has changed."""
        self._changed_elsewhere(room, present_of(body))

    def message(self, room: Room, body: bytes) -> None:
        """Forward a message of a remote car; look for what was lost where its replica publishes a position.

        Raises:
            ValueError: it is malformed.
        """
        if room.car is not None or room.vehicle not in self._hears:
            return
        _, message = read_message(body)
        if message:
            self._forward(room, message, self._monotonic())
        else:
            self._may_have_missed.add(room.vehicle)
            self.ask_about(room)

    def subscribed(self, room: Room) -> None:
        """What a car elsewhere says is heard from now on."""
        if not room.epoch or room.vehicle in self._hears:
            self._hears_messages(room)
            return
        # A question to ourselves comes after all that we have published before it.
        echo = self._echoes[room.vehicle] = object()
        self._replicas.ask_for_unwritten(self._replicas.name, room.vehicle, lambda _: self._echoed(room, echo))
        asyncio.get_running_loop().call_later(ECHO_WITHIN, self._echoed, room, echo)

    def _echoed(self, room: Room, echo: object) -> None:
        if self._echoes.get(room.vehicle) is echo:
            del self._echoes[room.vehicle]
            self._hears_messages(room)

    def _hears_messages(self, room: Room) -> None:
        # At first: the car may have left here and said something there meanwhile. Again: Redis was away.
        self._may_have_missed.add(room.vehicle)
        self._hears.add(room.vehicle)
        self.ask_about(room)

    def ask_about(self, room: Room) -> None:
        """Ask who is connected: what changed before we heard of it was not heard."""
        self._to_ask[room.name] = room
        self._work.set()

    # ---- what Redis is asked

    async def run(self) -> None:
        """Ask until cancelled."""
        looks_at = self._monotonic()
        while True:
            raise_if_cancelled()
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._work.wait()
            except TimeoutError:
                pass
            self._work.clear()
            if self._monotonic() >= looks_at:
                looks_at = self._monotonic() + LOOK_EVERY
                self._to_ask |= self._with_ended_leases()
            await self._ask()

    def _with_ended_leases(self) -> dict[VehicleName, Room]:
        now = self._wall()
        return {
            room.name: room
            for room in self._rooms.values()
            if room.car is not None and room.elsewhere.http.count and room.elsewhere.http.until <= now
        }

    async def _ask(self) -> None:
        asked = dict(islice(self._to_ask.items(), ASKED_AT_ONCE))
        if not asked:
            return
        for name in asked:
            del self._to_ask[name]
        try:
            async with asyncio.timeout(REDIS_TIMEOUT):
                answers = await self._presence.present(asked)
        except FAILURES as error:
            self._to_ask = asked | self._to_ask
            report_outage(self._log, REDIS, "remote presence is read later", error)
            return
        if self._to_ask:
            self._work.set()
        for room, present in zip(asked.values(), answers, strict=True):
            if self._rooms.get(room.vehicle) is room:
                self._changed_elsewhere(room, present)
                self._teach(room, present)

    def _changed_elsewhere(self, room: Room, present: Present) -> None:
        self._hub.changed_elsewhere(room, self.elsewhere(present), self._monotonic())
        session, replica = room.elsewhere.session, room.elsewhere.replica
        if session and room.vehicle in self._hears:
            former, self._told_by[room.vehicle] = self._told_by.get(room.vehicle), (session, replica)
            if former is not None and former[0] == session and former[1] != replica:
                # A replica whose lease had run out has another name now, and has not published what its cars said meanwhile.
                self._may_have_missed.add(room.vehicle)
        self._make_up(room)

    def _make_up(self, room: Room) -> None:
        # Where nobody is, Redis may have come back empty, and the car's replica has not announced it yet.
        if room.vehicle in self._may_have_missed and room.elsewhere.session:
            self._may_have_missed.remove(room.vehicle)
            self._missed(room)

    def _teach(self, room: Room, present: Present) -> None:
        if room.vehicle in self._hears:
            for answer in self._learning.pop(room.vehicle, ()):
                self._ask_its_replica(room, present, answer)

    def _ask_its_replica(self, room: Room, present: Present, answer: Answer) -> None:
        """What the car has said last may wait where it is or was connected."""
        # Epochs are milliseconds; every session that has begun since is later.
        elsewhere, before = room.elsewhere, present.at // 1000 - 1
        if elsewhere.session:
            replica, tell = elsewhere.replica, lambda told: answer(_learnt(elsewhere.session, told))
        else:
            replica, tell = present.owner, lambda told: answer(Learnt(before, written=told))
        if replica in ("", self._replicas.name):
            answer(Learnt(before))
        else:
            self._replicas.ask_for_unwritten(replica, room.vehicle, tell)


def _learnt(session: int, told: Written) -> Learnt:
    """Until where the replica of this session has told; all of the session where its car has disconnected there."""
    return Learnt(told.session, told.number, told) if told.session else Learnt(session, written=told)


# One a vehicle, so they hold no more than they must.


class _Peers(NamedTuple):
    follower: Follower
    room: Room

    def heard(self, body: bytes) -> None:
        self.follower.peers_changed(self.room, body)

    def subscribed(self) -> None:
        self.follower.ask_about(self.room)


class _Messages(NamedTuple):
    follower: Follower
    room: Room

    def heard(self, body: bytes) -> None:
        self.follower.message(self.room, body)

    def subscribed(self) -> None:
        self.follower.subscribed(self.room)
