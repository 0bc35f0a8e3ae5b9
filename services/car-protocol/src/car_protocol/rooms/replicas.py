"""Talks with other replicas: messages of apps to cars there, answers to peers there, questions about what is not written."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from car_protocol.rooms.hub import Hub, Peer, Room
from car_protocol.rooms.publisher import Publisher
from ovms.bus.channels import replica_channel
from ovms.bus.replicas import (
    Address,
    Kept,
    Parts,
    ToCar,
    ToPeer,
    Unwritten,
    Written,
    read_word,
    to_car,
    to_peer,
    unwritten,
    written,
)
from ovms.bus.subscriptions import Listener, Subscriptions
from ovms.db.logins import StoredMessage
from ovms.identity import Role
from ovms.protocol.commands import COMMAND, not_connected

MOST_QUESTIONS: Final = 10_000
"""That may be without an answer: the replica that was asked may have died."""

Answer = Callable[[Written], None]


class FarPeer:
    """An app that is connected to another replica."""

    role = Role.APP
    is_behind = False

    def __init__(self, replicas: "Replicas", address: Address) -> None:
        self._replicas = replicas
        self.address = address

    def send(self, message: bytes, now: float) -> None:  # noqa: ARG002
        """Send a message to it, by its replica."""
        self._replicas.send(self.address, message)

    async def has_read(self) -> None:
        """Its replica waits for it."""

    def close(self, reason: str) -> None:
        """Only its replica can do that."""


class Replicas:
    """This replica, as others know it, and they, as it knows them.

    Args:
        say: gives a message of an app to the car of a room here.
        pending: what waits here to be written of a vehicle's state.
        monotonic: the clock that messages are sent with.
    """

    def __init__(
        self,
        publisher: Publisher,
        subscriptions: Subscriptions,
        hub: Hub,
        *,
        say: Callable[[Room, Peer, bytes, float], None],
        pending: Callable[[int], Mapping[int, StoredMessage]],
        monotonic: Callable[[], float],
    ) -> None:
        self._publisher = publisher
        self._subscriptions = subscriptions
        self._hub = hub
        self._say = say
        self._pending = pending
        self._monotonic = monotonic
        self._numbers = itertools.count(1)
        self._peers: WeakValueDictionary[int, Peer] = WeakValueDictionary()
        self._number_of: WeakKeyDictionary[Peer, int] = WeakKeyDictionary()
        self._questions: dict[int, tuple[Answer, Parts]] = {}
        self.name = ""
        """This replica's own, empty until it has one."""
        self.names = {""}
        """All that it has had: what was published under a former name may arrive after it took the next."""
        self._former = ""
        self._is_subscribed = asyncio.Event()

    def renamed(self, name: str) -> None:
        """Be known by another name from now on.

        Until the next change it also receives messages under the former name: other replicas send commands and answers to it
        until they know the new one.
        """
        if self._former:
            self._subscriptions.leave(replica_channel(self._former).encode())
        self._former, self.name = self.name, name
        self.names.add(name)
        self._is_subscribed = asyncio.Event()
        self._subscriptions.hear(replica_channel(name).encode(), Listener(self._heard, self._is_subscribed.set))

    async def take_name(self, name: str) -> None:
        """Be known by another name from now on, and return once messages to it are received."""
        self.renamed(name)
        await self._is_subscribed.wait()

    def address(self, peer: Peer) -> Address:
        """Where a peer can be reached by other replicas."""
        if isinstance(peer, FarPeer):
            return peer.address  # the car has gone on from here: its answer need not come by here
        number = self._number_of.get(peer)
        if number is None:
            number = self._number_of[peer] = next(self._numbers)
            self._peers[number] = peer
        return Address(self.name, number)

    def send(self, to: Address, message: bytes) -> None:
        """Send a message to a peer elsewhere."""
        self._tell(to.replica, to_peer(to.peer, message))

    def send_to_car(self, room: Room, sender: Peer, message: bytes) -> None:
        """Send an app's message to a car elsewhere; at most once, since its replica must have the session that we know of."""
        car = room.elsewhere
        self._tell(car.replica, to_car(car.session, room.vehicle, self.address(sender), message))

    def ask_for_unwritten(self, replica: str, vehicle: int, answer: Answer) -> None:
        """Ask a replica what it has not written yet of a vehicle's state; it may never answer."""
        if len(self._questions) >= MOST_QUESTIONS:
            del self._questions[next(iter(self._questions))]
        question = next(self._numbers)
        self._questions[question] = answer, Parts()
        self._tell(replica, unwritten(vehicle, self.name, question))

    def _tell(self, replica: str, body: bytes) -> None:
        self._publisher.publish_on(replica_channel(replica).encode(), body)

    # ---- what others say

    def _heard(self, body: bytes) -> None:
        match read_word(body):
            case ToCar(session, vehicle, sender, message):
                room = self._hub.get(vehicle)
                if room is not None and room.epoch == session and message:
                    self._say(room, FarPeer(self, sender), message, self._monotonic())
                elif (command := COMMAND.match(message)) is not None:
                    # The sender knows a session that has ended. It must not wait for an answer that no car gives.
                    self._tell(sender.replica, to_peer(sender.peer, not_connected(int(command[1]))))
            case ToPeer(number, message):
                if message and (peer := self._peers.get(number)):
                    peer.send(message, self._monotonic())
            case Unwritten(vehicle, replica, question):
                for part in self._written(question, vehicle):
                    self._tell(replica, part)
            case Written(question) as part:
                self._answered(question, part)

    def _answered(self, question: int, part: Written) -> None:
        if (asked := self._questions.get(question)) is None:
            return
        answer, parts = asked
        if (told := parts.add(part)) is not None:
            del self._questions[question]
            answer(told)

    def _written(self, question: int, vehicle: int) -> list[bytes]:
        room = self._hub.get(vehicle)
        has_car = room is not None and room.car is not None
        session, number = (room.epoch, room.message_number) if room is not None and has_car else (0, 0)
        kept = (
            Kept(one.message, one.received_at, one.sealed_with, one.epoch, one.number)
            for one in self._pending(vehicle).values()
        )
        return written(question, session, number, room.paranoid_token if room else None, kept)
