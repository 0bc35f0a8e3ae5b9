"""Greets apps and batch clients: whether their car is here, what it sent last, and how many seconds ago.

From its login on a newcomer hears the car; what it hears waits until it has been greeted with what was before. Nothing may be
missing between the two, or come twice in the wrong order, wherever the car is connected: what is not in PostgreSQL yet is asked
of whoever has to write it, PostgreSQL is asked after that, and what it has of a later time is left to be heard.

Of a car that is nowhere no replica can tell what is published and not heard yet: Redis may have come back empty. Until the car
is somewhere, what is heard of it is kept from a newcomer, as where its replica does not answer.

While PostgreSQL is away newcomers are greeted with what this replica knows, hear their car and may send it commands: an app
that is shown little is better off than one that is shown nothing. When it is back they are greeted once more, as if they had
just come.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol, cast
from weakref import WeakKeyDictionary

import asyncpg
import structlog

from car_protocol.logins.greeting import NEVER, Known, Messages, greeting, is_news, is_old, later, newest, readable, until, wire
from car_protocol.rooms.follower import Answer, Follower, Learnt
from car_protocol.rooms.hub import MOST_HEARD, Peer, Room, Unheard, code_of
from car_protocol.storage.recorder import Recorder
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.logins import StoredMessage, find_messages
from ovms.outages import POSTGRESQL, report_outage
from ovms.stopping import sleep_unless_cancelled

BATCH: Final = 500
RETRY_AFTER: Final = 0.25
LEARN_WITHIN: Final = 1.0
"""Seconds to learn of a car elsewhere; Redis or the car's replica may be away, and the app is greeted with what is known."""
LEARN_AT_LAST: Final = 15.0
"""Seconds after which nobody will tell: the car's replica is dead, and cleared, or the car is nowhere."""

NOTHING: Final = Learnt()


class Greeted(Peer, Protocol):
    """A connection that has been let in."""

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""

    @property
    def is_held_back(self) -> bool:
        """Whether it waits to be greeted."""

    def hold_back(self) -> None:
        """Keep what is sent to it until `release`."""

    def release(self, greeting: Sequence[bytes]) -> None:
        """Send the greeting, then what was kept."""


@dataclass(slots=True, eq=False)
class Newcomer:
    """Somebody who waits to be greeted, and what was known of his car when he came in."""

    caller: Greeted
    room: Room
    paranoid_token: str
    unwritten: Messages
    """What PostgreSQL may not have had yet."""
    is_again: bool = False
    """He has been greeted before, and hears his car until `learnt` is known."""
    heard: Mapping[int, Known] = field(default_factory=dict)
    """What he has heard already, by code, where he has been greeted before."""
    learnt: Learnt | None = None
    is_asked_for: bool = False
    """PostgreSQL is being asked: what is learnt now is not in its answer."""
    learnt_late: Learnt | None = None
    unheard: Unheard | None = None
    """What was kept from him, or still is: he is told as much of it as is later than his greeting."""


class Greeter:
    """Greets who came in, many at once."""

    def __init__(self, pool: Pool, recorder: Recorder, follower: Follower) -> None:
        self._pool = pool
        self._recorder = recorder
        self._follower = follower
        self._ready: list[Newcomer] = []
        self._is_away = False
        """Whether PostgreSQL did not answer the last time it was asked."""
        self._greeted_without: list[tuple[Greeted, Room]] = []
        """Those who are greeted once more when it is back."""
        self._told_again: WeakKeyDictionary[Greeted, defaultdict[int, deque[int]]] = WeakKeyDictionary()
        """The hashes of what somebody was told when he was greeted again, by code: all others have heard it, or have not."""
        self._work = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._log = structlog.get_logger("login")

    def expect(self, caller: Greeted, room: Room) -> None:
        """Greet somebody who has just joined a room, soon."""
        self._expect(caller, room, {})

    def _expect(self, caller: Greeted, room: Room, heard: Mapping[int, Known]) -> None:
        caller.hold_back()
        if room.car is None:
            room.learning[caller] = Unheard(self._recorder.wall(self._loop.time()))
        newcomer = self._newcomer(caller, room)
        newcomer.heard = heard
        self._learn(newcomer)

    def greet_again(self, room: Room) -> None:
        """Greet all who watch a car elsewhere: they may have missed some of what it said."""
        for watcher in cast("Sequence[Greeted]", room.watchers):
            if not watcher.is_held_back:
                newcomer = self._newcomer(watcher, room, is_again=True)
                if newcomer.unheard is not None and room.elsewhere.session > newcomer.unheard.session:
                    self._tell_unheard(newcomer)
                    newcomer.unheard = None
                self._learn(newcomer)

    def _learn(self, newcomer: Newcomer) -> None:
        room = newcomer.room
        if room.car is not None:
            self._learnt(newcomer, self._until_now(room))
            return
        self._ask(newcomer, partial(self._learnt, newcomer))

    def _ask(self, newcomer: Newcomer, answer: Answer) -> None:
        self._follower.learn(newcomer.room, answer)
        self._loop.call_later(LEARN_WITHIN, self._not_learnt, newcomer, answer)

    def _until_now(self, room: Room) -> Learnt:
        """What is to be told of a car that is here."""
        return Learnt(room.epoch, room.message_number)

    def _newcomer(self, caller: Greeted, room: Room, *, is_again: bool = False) -> Newcomer:
        # What waits is taken now: it may be written, and forgotten here, before PostgreSQL is asked.
        unwritten, unheard = self._recorder.pending(room.vehicle), room.learning.get(caller)
        return Newcomer(caller, room, room.paranoid_token, unwritten, is_again, unheard=unheard)

    def _learnt(self, newcomer: Newcomer, learnt: Learnt) -> None:
        if newcomer.caller.is_gone:
            return
        if newcomer.is_asked_for:
            if newcomer.learnt == NOTHING:
                newcomer.learnt_late = learnt
        elif newcomer.learnt == NOTHING and not newcomer.caller.is_held_back:
            # It comes late, and he has been greeted without.
            again = self._newcomer(newcomer.caller, newcomer.room, is_again=True)
            again.unheard = again.unheard or newcomer.unheard
            self._learnt(again, learnt if newcomer.room.car is None else self._until_now(newcomer.room))
        elif self._is_past(newcomer.room, learnt) and (newcomer.is_again or self._waits(newcomer)):
            # It bounds what PostgreSQL is asked for, and would end what is kept of the later session.
            self._learn(newcomer)
        elif newcomer.is_again and learnt.written is None and not newcomer.room.has_car:
            # Nowhere: its replica may have lost its lease, and the car goes on there. It is made up for when it is found again.
            newcomer.learnt = learnt
            self._follower.may_have_missed(newcomer.room)
        elif self._waits(newcomer):
            self._hold_back(newcomer, learnt)
            self._merge(newcomer, learnt)

    def _is_past(self, room: Room, learnt: Learnt) -> bool:
        """Whether the car has begun another session since, which is heard: its replica knows what is to be told of that."""
        return room.car is None and learnt.session < room.elsewhere.session

    def _waits(self, newcomer: Newcomer) -> bool:
        """Whether he is to be told, and is not held back for another greeting."""
        if newcomer.learnt is None:
            return not (newcomer.is_again and newcomer.caller.is_held_back)
        return newcomer.learnt == NOTHING and newcomer in self._ready

    def _merge(self, newcomer: Newcomer, learnt: Learnt) -> None:
        is_waiting = newcomer.learnt is not None
        newcomer.learnt, newcomer.room.is_known, told = learnt, True, learnt.written
        if told is not None:
            elsewhere = {kept.message[0]: StoredMessage(*kept) for kept in told.messages}
            newcomer.unwritten = newest(newcomer.unwritten, elsewhere)
            if told.paranoid_token is not None:
                newcomer.paranoid_token = newcomer.room.paranoid_token = told.paranoid_token
        if self._is_away:
            self._greet_without([newcomer])
        elif not is_waiting:
            self._ready.append(newcomer)
        self._work.set()

    def _not_learnt(self, newcomer: Newcomer, answer: Answer) -> None:
        """Nobody has told in time: he is greeted with what is known, and still not told what may be older."""
        room, caller = newcomer.room, newcomer.caller
        if caller.is_gone:
            self._follower.forget(room, answer)
            return
        if newcomer.learnt not in (None, NOTHING):
            return
        if newcomer.learnt is None and not newcomer.is_again:
            self._merge(newcomer, NOTHING)
            self._loop.call_later(LEARN_AT_LAST, self._tell_unheard, newcomer)
        if newcomer.unheard is not None and room.learning.get(caller) is not newcomer.unheard:
            return  # he hears his car by now
        if room.car is not None:
            self._learnt(newcomer, self._until_now(room))
        else:
            # The question may have been lost, or its answer: what goes over Redis does so at most once.
            self._ask(newcomer, answer)

    def _hold_back(self, newcomer: Newcomer, learnt: Learnt) -> None:
        """From now on, who has heard his car until now; of who has not, what comes after that which he will be told."""
        if newcomer.is_again:
            # What others have heard since he was greeted may have been kept from him.
            newcomer.heard = self._known(newcomer.caller, newcomer.room, newcomer.unheard)
        if not newcomer.caller.is_held_back:
            newcomer.caller.hold_back()
        if learnt.written is not None:
            # What came before it, on the same connection, is in it or in PostgreSQL.
            self._stop_keeping(newcomer)
            newcomer.unheard = None

    def _tell_unheard(self, newcomer: Newcomer) -> None:
        unheard = self._stop_keeping(newcomer)
        if unheard is not None and not newcomer.caller.is_held_back:  # else he is told after his greeting
            for message in later(unheard):
                newcomer.caller.send(message, self._loop.time())

    def _known(self, caller: Greeted, room: Room, unheard: Unheard | None) -> dict[int, Known]:
        """What all have heard who watch here, or his greeting where his car is kept from him; and what he was told again."""
        known: dict[int, Known]
        if unheard is not None:
            known = {code: Known((hash(wire(kept)),), kept.received_at) for code, kept in unheard.told.items()}
        else:
            known = {code: Known(heard.states, self._recorder.wall(heard.at)) for code, heard in room.heard.items()}
        again: Mapping[int, Sequence[int]] = self._told_again.get(caller, {})
        return {code: Known((*again.get(code, ()), *states), at) for code, (states, at) in known.items()}

    def _stop_keeping(self, newcomer: Newcomer) -> Unheard | None:
        """Let him hear his car from now on; what was kept from him, unless that was for a later greeting."""
        return newcomer.room.learning.pop(newcomer.caller) if self._is_kept(newcomer) else None

    def _is_kept(self, newcomer: Newcomer) -> bool:
        """Whether what his car says is kept from him, and not for a later greeting."""
        return newcomer.unheard is not None and newcomer.room.learning.get(newcomer.caller) is newcomer.unheard

    async def run(self) -> None:
        """Greet until cancelled."""
        while True:
            await self._work.wait()
            try:
                if self._is_away:
                    await self._greet_once_more()
                await self._greet(self._ready[:BATCH])
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                if not self._is_away:
                    report_outage(self._log, POSTGRESQL, "apps get what this replica knows", error)
                self._is_away = True
                waiting, self._ready = self._ready, []
                self._greet_without(waiting)
                self._greeted_without = [(caller, room) for caller, room in self._greeted_without if not caller.is_gone]
                await sleep_unless_cancelled(RETRY_AFTER)
            if not (self._ready or self._greeted_without):
                self._work.clear()

    async def _greet(self, newcomers: Sequence[Newcomer]) -> None:
        if not newcomers:
            return
        for newcomer in newcomers:
            newcomer.is_asked_for = True
        stored = await find_messages(self._pool, {newcomer.room.vehicle for newcomer in newcomers})
        wall = self._recorder.wall(self._loop.time())
        del self._ready[: len(newcomers)]
        for newcomer in newcomers:
            if not newcomer.caller.is_gone:
                session, number, _ = bound(newcomer)
                messages = newest(until(stored[newcomer.room.vehicle], session, number), newcomer.unwritten)
                told = greeting(newcomer.paranoid_token, messages, wall, has_car=newcomer.room.has_car)
                self._release(newcomer, self._news(newcomer, told, messages), messages)

    def _news(self, newcomer: Newcomer, greeting: Sequence[bytes], messages: Messages) -> Sequence[bytes]:
        """What he does not know yet of a greeting: the states that are news to him and their age; all of it at first."""
        if newcomer.is_again:
            states = [message for message in greeting[1:-1] if is_news(message, newcomer.heard, messages)]
            again = self._told_again.setdefault(newcomer.caller, defaultdict(partial(deque, maxlen=MOST_HEARD)))
            for message in states:
                again[code_of(message)].append(hash(message))
            return [*states, greeting[-1]] if states else []
        for code, kept in readable(messages, newcomer.paranoid_token).items():
            if code not in newcomer.room.heard:
                newcomer.room.heard[code].note(wire(kept), kept.received_at - self._recorder.wall(0.0))
        states = [message for message in greeting[1:-1] if not is_old(message, newcomer.heard, messages)]
        return [greeting[0], *states, greeting[-1]]

    def _release(self, newcomer: Newcomer, greeting: Sequence[bytes], told: Messages) -> None:
        left: list[bytes] = []
        learnt, unheard = newcomer.learnt or NOTHING, newcomer.unheard
        if unheard is not None:
            unheard.told, unheard.session = readable(told, newcomer.paranoid_token), learnt.session
            if not self._may_hear_older(newcomer, learnt):
                self._stop_keeping(newcomer)
            left = [] if self._is_kept(newcomer) else later(unheard)
        newcomer.caller.release([*greeting, *left])
        newcomer.is_asked_for = False
        if newcomer.learnt_late is not None:
            self._learnt(newcomer, newcomer.learnt_late)
        elif learnt != NOTHING and self._is_kept(newcomer):
            self._look_for_the_car(newcomer)

    def _may_hear_older(self, newcomer: Newcomer, learnt: Learnt) -> bool:
        """Whether what is older than his greeting may still come: no replica has told, after all that it had published."""
        room, is_told = newcomer.room, newcomer.is_again or learnt.written is not None
        return not is_told and room.car is None and room.elsewhere.session <= learnt.session

    def _look_for_the_car(self, newcomer: Newcomer) -> None:
        """Where it is somewhere its replica can tell."""
        self._loop.call_later(LEARN_AT_LAST, self._tell_unheard, newcomer)
        if newcomer.room.has_car:  # since he has been waiting for PostgreSQL
            self._learn(self._newcomer(newcomer.caller, newcomer.room, is_again=True))
        else:
            self._follower.may_have_missed(newcomer.room)

    # ---- while PostgreSQL is away

    def _greet_without(self, newcomers: Sequence[Newcomer]) -> None:
        wall = self._recorder.wall(self._loop.time())
        for newcomer in newcomers:
            if not newcomer.caller.is_gone:
                known = greeting(newcomer.paranoid_token, newcomer.unwritten, wall, has_car=newcomer.room.has_car)
                told = self._news(newcomer, known, newcomer.unwritten)
                # Where nothing is known, it is not known either that the car never sent anything.
                told = [message for message in told if message != b"T%d" % NEVER]
                self._greeted_without.append((newcomer.caller, newcomer.room))
                self._release(newcomer, told, newcomer.unwritten)

    async def _greet_once_more(self) -> None:
        await find_messages(self._pool, ())
        self._is_away = False
        again, self._greeted_without = self._greeted_without, []
        for caller, room in again:
            if not (caller.is_gone or caller.is_held_back):
                self._expect(caller, room, self._known(caller, room, room.learning.get(caller)))


def bound(newcomer: Newcomer) -> Learnt:
    """What he has learnt; where that is nothing, and his car has come here since, he hears all of that session."""
    learnt, unheard = newcomer.learnt or NOTHING, newcomer.unheard
    return learnt if learnt != NOTHING or unheard is None or not unheard.ended_by else Learnt(unheard.ended_by - 1)
