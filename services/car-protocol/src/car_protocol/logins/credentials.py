"""Checks logins of scheme 0, many at once: one query finds all their vehicles.

While PostgreSQL is away the vehicles that logged in lately are let in without it, and it has the last word when it is back. All
others wait here, and their connections stay open: newer firmware takes a close before `MP-S` for wrong credentials and does not
come back before its owner has looked after it. So does the Android app: it waits for its welcome as long as it takes, and gives
up for good where it is closed instead. That is why apps are let in too, though their greeting cannot be whole (see `greeter`).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from car_protocol.logins.greeter import Greeted
from car_protocol.logins.notices import LoginNotices
from car_protocol.logins.register import AWAY, Register
from car_protocol.rooms.hub import Room
from ovms.auth.delays import FREE, LoginDelays, Source
from ovms.auth.published import is_loopback, is_published_for_vehicle
from ovms.db.logins import Vehicle
from ovms.db.sealing import Sealer, SealingError
from ovms.identity import Role, fold_vehicle_id
from ovms.protocol import Login
from ovms.stopping import sleep_unless_cancelled

BATCH: Final = 500
TICK: Final = 0.005
"""Seconds to collect logins: one query for many costs little more than one for one."""
RETRY_AFTER: Final = 0.25
BETWEEN_TURNS: Final = 0.05
"""Seconds in which a login whose turn it is is checked, unless PostgreSQL is slow."""


class Caller(Greeted, Protocol):
    """A connection that asks to be let in."""

    @property
    def address(self) -> str:
        """Where it comes from."""

    def enter(self, room: Room, secret: bytes, server_token: bytes) -> None:
        """It is let in: answer the welcome of scheme 0."""

    def enter_user(self, room: Room, user: str, vehicle_ids: Sequence[str]) -> None:
        """It is let in: answer the welcome of scheme 1."""

    def refuse(self) -> None:
        """It is not: close."""


class Credentials:
    """Takes logins and says whose are right; it refuses the others itself.

    Args:
        register: knows the vehicles.
        sealer: opens their passwords.
        notices: tells owners of their cars' logins.
        delays: slows down who guesses.
        proven: called with who has proven that he knows his vehicle's password.
    """

    def __init__(
        self,
        register: Register,
        sealer: Sealer,
        notices: LoginNotices,
        delays: LoginDelays,
        proven: Callable[[Caller, Vehicle, bytes], None],
    ) -> None:
        self._register = register
        self._sealer = sealer
        self._notices = notices
        self._delays = delays
        self._proven = proven
        self._asking: list[tuple[Caller, Login]] = []
        self._unconfirmed: list[tuple[Caller, Login]] = []
        """Those that were let in while PostgreSQL was away."""
        self._waiting: dict[tuple[str, str], list[tuple[Caller, Login]]] = {}
        """Logins that wait together for their turns, by vehicle and address."""
        self._work = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._log = structlog.get_logger("login")

    @property
    def waiting(self) -> int:
        """Logins that have no answer yet."""
        return len(self._asking)

    def ask(self, caller: Caller, login: Login) -> None:
        """Check a login, soon; later where its vehicle's logins from the same source have failed."""
        if caller.is_gone or self._must_wait(caller, login):
            return
        if not (self._register.is_away and self._let_in_known(caller, login)):
            self._asking.append((caller, login))
            self._work.set()

    def _must_wait(self, caller: Caller, login: Login) -> bool:
        """Return whether a login is not checked yet, because too many of its source have failed; its turn comes then.

        Logins that wait together are checked one by one: each that fails makes the others wait for longer.
        """
        if not (left := self._left(caller, login)):
            return False
        turns = fold_vehicle_id(login.vehicle_id), caller.address
        if turns not in self._waiting:
            self._waiting[turns] = []
            self._loop.call_later(left, self._take_turn, turns)
        self._waiting[turns].append((caller, login))
        return True

    def _take_turn(self, turns: tuple[str, str]) -> None:
        """Check the newest login of those that wait together: a right one need not wait for guesses that came before it."""
        waiting = [one for one in self._waiting.pop(turns) if not one[0].is_gone]
        if not waiting:
            return
        left = self._left(*waiting[-1])
        chosen = [] if left else [waiting.pop() for _ in waiting[-FREE:]]
        if waiting:
            # Once the chosen ones are checked it is known how long the others wait.
            self._waiting[turns] = waiting
            self._loop.call_later(left or BETWEEN_TURNS, self._take_turn, turns)
        for caller, login in chosen:
            self.ask(caller, login)

    def _left(self, caller: Caller, login: Login) -> float:
        return self._delays.left(fold_vehicle_id(login.vehicle_id), Source(caller.address), self._loop.time())

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            if not self._register.is_away:  # else PostgreSQL is asked again and again, so that we know when it is back
                await self._work.wait()
                await asyncio.sleep(TICK)
            try:
                await self._check_all(self._asking[:BATCH])
                await self._confirm(self._unconfirmed[:BATCH])
            except AWAY:
                await sleep_unless_cancelled(RETRY_AFTER)
            if not (self._asking or self._unconfirmed):
                self._work.clear()

    async def _check_all(self, asking: Sequence[tuple[Caller, Login]]) -> None:
        was_away = self._register.is_away
        try:
            vehicles = await self._register.find([fold_vehicle_id(login.vehicle_id) for _, login in asking])
        except AWAY:
            # Whoever waits in vain comes again every minute.
            self._unconfirmed = [(caller, login) for caller, login in self._unconfirmed if not caller.is_gone]
            waiting = [(caller, login) for caller, login in self._asking if not caller.is_gone]
            # Those that came since it was known to be away have been looked at.
            self._asking = waiting if was_away else [one for one in waiting if not self._let_in_known(*one)]
            raise
        del self._asking[: len(asking)]
        for caller, login in asking:
            if not caller.is_gone:
                self._check(caller, login, vehicles.get(fold_vehicle_id(login.vehicle_id)))

    def _check(self, caller: Caller, login: Login, vehicle: Vehicle | None) -> None:
        if self._must_wait(caller, login):
            return
        if vehicle is None:
            self._refuse(caller, login)
            return
        secret = self._open(vehicle)
        if secret is None:
            # Our fault, not the car's: it is neither let in nor closed, and tries again by itself after a minute.
            return
        if login.proves(secret) and may_use(caller, vehicle, secret):
            self._register.keep(fold_vehicle_id(login.vehicle_id), vehicle)
            self._accept(caller, login, vehicle, secret)
            return
        if caller.role is Role.CAR:
            self._notices.failed(vehicle.key, caller.address, self._loop.time())
        self._refuse(caller, login)

    def _accept(self, caller: Caller, login: Login, vehicle: Vehicle, secret: bytes) -> None:
        if caller.role is Role.CAR:
            self._notices.succeeded(vehicle.key, caller.address, self._loop.time())
        self._delays.succeeded(fold_vehicle_id(login.vehicle_id), Source(caller.address))
        self._proven(caller, vehicle, secret)

    def _refuse(self, caller: Caller, login: Login) -> None:
        self._count(caller, login)
        caller.refuse()

    def _count(self, caller: Caller, login: Login) -> None:
        self._delays.failed(fold_vehicle_id(login.vehicle_id), Source(caller.address), self._loop.time())

    def _open(self, vehicle: Vehicle) -> bytes | None:
        try:
            return self._sealer.open(vehicle.password_key_id, vehicle.password, context=fold_vehicle_id(vehicle.vehicle_id))
        except SealingError as error:
            self._log.error("a vehicle's password cannot be opened", vehicle=vehicle.vehicle_id, reason=str(error))
            return None

    # ---- while PostgreSQL is away

    def _let_in_known(self, caller: Caller, login: Login) -> bool:
        """Let in whom we know; whether we do. A password other than we know may be new: it waits."""
        vehicle = self._register.known(fold_vehicle_id(login.vehicle_id))
        secret = None if vehicle is None else self._open(vehicle)
        if vehicle is None or secret is None or self._left(caller, login):
            return False
        if not login.proves(secret) or not may_use(caller, vehicle, secret):
            self._count(caller, login)  # it waits, but the answer that it is not this password has a price
            return False
        self._accept(caller, login, vehicle, secret)
        self._unconfirmed.append((caller, login))
        self._work.set()
        return True

    async def _confirm(self, let_in: Sequence[tuple[Caller, Login]]) -> None:
        """PostgreSQL is back: close those whose credentials are right no more."""
        if not let_in:
            return
        vehicles = await self._register.find([fold_vehicle_id(login.vehicle_id) for _, login in let_in])
        del self._unconfirmed[: len(let_in)]
        for caller, login in let_in:
            vehicle = vehicles.get(fold_vehicle_id(login.vehicle_id))
            secret = None if vehicle is None else self._open(vehicle)
            if vehicle is None or (secret is not None and not login.proves(secret)):
                caller.close("its credentials are right no more")


def may_use(caller: Caller, vehicle: Vehicle, secret: bytes) -> bool:
    """Whether a right password counts: the published one of the demo only from loopback."""
    return not is_published_for_vehicle(vehicle.vehicle_id, secret) or is_loopback(caller.address)
