"""Answers logins, many at once: one query finds all their vehicles, one round trip to Redis numbers the cars' sessions.

While PostgreSQL is away logins wait here, and their connections stay open: newer firmware takes a close before `MP-S` for
wrong credentials and does not come back before its owner has looked after it.
"""

import asyncio
import secrets
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

import asyncpg
import structlog
from redis.exceptions import RedisError

from car_protocol.logins.delays import LoginDelays
from car_protocol.logins.greeter import Greeted, Greeter
from car_protocol.logins.notices import LoginNotices
from car_protocol.rooms.follower import Follower
from car_protocol.rooms.hub import Hub, Peer, Room
from car_protocol.rooms.presence import PresenceKeeper
from car_protocol.storage.recorder import Recorder
from ovms.bus.presence import Claim
from ovms.db.autoprovision import find_configurations
from ovms.db.engine import UNAVAILABLE, Pool
from ovms.db.logins import Vehicle, find_vehicles
from ovms.db.sealing import Sealer, SealingError
from ovms.identity import Role, fold_vehicle_id
from ovms.protocol import Login

BATCH: Final = 500
RETRY_AFTER: Final = 0.25


class Caller(Peer, Greeted, Protocol):
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


class Unprovisioned(Protocol):
    """A connection of a module that asks for its configuration."""

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""

    def provision(self, record: bytes, secret: bytes, token: bytes) -> None:
        """Send its configuration."""

    def provision_nothing(self) -> None:
        """Say that there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Admission:
    """A caller whose credentials are right."""

    caller: Caller
    vehicle: Vehicle
    answer: Callable[[Room], None]
    """Answers his welcome."""
    has_waited: bool = False
    """He throws another session of the same car out, and has waited before he does."""


class LoginDesk:
    """Takes logins and greets who came in.

    Args:
        pool: PostgreSQL.
        sealer: opens the vehicles' passwords.
        presence: numbers the sessions of cars.
        hub: the rooms that callers are let in to.
        recorder: knows the keys of paranoid mode that are not written yet.
        follower: knows who is connected elsewhere.
        greeter: greets apps and batch clients.
        notices: tells owners of their cars' logins.
        delays: slows down who guesses.
    """

    def __init__(
        self,
        pool: Pool,
        sealer: Sealer,
        presence: PresenceKeeper,
        hub: Hub,
        recorder: Recorder,
        follower: Follower,
        greeter: Greeter,
        notices: LoginNotices,
        delays: LoginDelays,
    ) -> None:
        self._pool = pool
        self._sealer = sealer
        self._presence = presence
        self._hub = hub
        self._recorder = recorder
        self._follower = follower
        self._greeter = greeter
        self._notices = notices
        self._delays = delays
        self._asking: list[tuple[Caller, Login]] = []
        self._admitted: list[Admission] = []
        self._to_provision: list[tuple[Unprovisioned, str]] = []
        self._waiting_again: set[Admission] = set()
        self._work = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._log = structlog.get_logger("login")

    @property
    def waiting(self) -> int:
        """Logins that have no answer yet."""
        return len(self._asking) + len(self._admitted) + len(self._waiting_again) + len(self._to_provision)

    def ask(self, caller: Caller, login: Login) -> None:
        """Answer a login, soon; later where its vehicle's logins from the same network have failed."""
        wait = self._delays.wait(fold_vehicle_id(login.vehicle_id), caller.address, self._loop.time())
        if wait:
            self._loop.call_later(wait, self._look_at, caller, login)
        else:
            self._look_at(caller, login)

    def _look_at(self, caller: Caller, login: Login) -> None:
        self._asking.append((caller, login))
        self._work.set()

    def admit(self, admission: Admission) -> None:
        """Let somebody in whose credentials were checked elsewhere, soon."""
        self._admitted.append(admission)
        self._work.set()

    def ask_for_configuration(self, module: Unprovisioned, key: str) -> None:
        """Answer a request for a configuration, soon."""
        self._to_provision.append((module, key))
        self._work.set()

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            await self._work.wait()
            try:
                await self._answer(self._asking[:BATCH])
                await self._let_in(self._admitted[:BATCH])
                await self._provision(self._to_provision[:BATCH])
            except (*UNAVAILABLE, asyncpg.PostgresError) as error:
                self._log.warning("PostgreSQL does not answer; logins wait", waiting=self.waiting, reason=type(error).__name__)
                await asyncio.sleep(RETRY_AFTER)
            if not (self._asking or self._admitted or self._to_provision):
                self._work.clear()

    # ---- let in or refuse

    async def _answer(self, asking: Sequence[tuple[Caller, Login]]) -> None:
        if not asking:
            return
        vehicles = await find_vehicles(self._pool, [fold_vehicle_id(login.vehicle_id) for _, login in asking])
        del self._asking[: len(asking)]
        for caller, login in asking:
            if not caller.is_gone:
                self._check(caller, login, vehicles.get(fold_vehicle_id(login.vehicle_id)))

    def _check(self, caller: Caller, login: Login, vehicle: Vehicle | None) -> None:
        if vehicle is None:
            self._refuse(caller, login)
            return
        try:
            secret = self._sealer.open(vehicle.password_key_id, vehicle.password, context=fold_vehicle_id(vehicle.vehicle_id))
        except SealingError as error:
            # Our fault, not the car's: it is neither let in nor closed, and tries again by itself after a minute.
            self._log.error("a vehicle's password cannot be opened", vehicle=vehicle.key, reason=str(error))
            return
        is_proven = login.proves(secret)
        if caller.role is Role.CAR:
            tell_owner = self._notices.succeeded if is_proven else self._notices.failed
            tell_owner(vehicle.key, caller.address, self._loop.time())
        if is_proven:
            self._delays.succeeded(fold_vehicle_id(login.vehicle_id), caller.address)
            self.admit(Admission(caller, vehicle, partial(caller.enter, secret=secret, server_token=_new_token())))
        else:
            self._refuse(caller, login)

    def _refuse(self, caller: Caller, login: Login) -> None:
        self._delays.failed(fold_vehicle_id(login.vehicle_id), caller.address, self._loop.time())
        caller.refuse()

    async def _let_in(self, admitted: Sequence[Admission]) -> None:
        claims = await self._claim([admission for admission in admitted if admission.caller.role is Role.CAR])
        del self._admitted[: len(admitted)]
        for admission in admitted:
            if not admission.caller.is_gone:
                self._enter(admission, claims.get(admission))
            elif admission in claims:
                self._hub.renounce(admission.vehicle)

    async def _claim(self, cars: Sequence[Admission]) -> dict[Admission, Claim]:
        """What Redis says of the cars; nothing where it is away: then they come in without it."""
        if not cars:
            return {}
        try:
            claims = await self._presence.claim([(car.vehicle.vehicle_id, car.has_waited) for car in cars])
        except (RedisError, OSError) as error:
            self._log.warning("Redis is away; cars come in without it", reason=type(error).__name__)
            return {}
        return dict(zip(cars, claims, strict=True))

    def _enter(self, admission: Admission, claim: Claim | None) -> None:
        caller, vehicle = admission.caller, admission.vehicle
        if claim is not None and claim.delay:
            # Two modules with one id: none of them is closed, which it would take for wrong credentials.
            self._waiting_again.add(admission)
            self._loop.call_later(claim.delay, self._admit_again, admission)
            return
        room = self._hub.room(vehicle)
        if room.car is None:
            room.paranoid_token = self._recorder.pending_token(room.vehicle) or vehicle.paranoid_token
        admission.answer(room)
        if caller.role is Role.CAR:
            self._join_car(room, caller, claim)
        else:
            self._hub.join_watcher(room, caller, self._loop.time())
            self._greeter.expect(caller, room)

    def _join_car(self, room: Room, car: Caller, claim: Claim | None) -> None:
        now = self._loop.time()
        if claim is None:
            # An epoch of the same kind as Redis would have given.
            epoch, elsewhere = int(self._recorder.wall(now) * 1000), None
        else:
            epoch, elsewhere = claim.epoch, self._follower.elsewhere(claim.present)
            room.announced = claim.present.replicas.get(claim.present.owner)
        self._hub.join_car(room, car, now, epoch=max(epoch, room.epoch + 1), elsewhere=elsewhere)

    def _admit_again(self, admission: Admission) -> None:
        self._waiting_again.discard(admission)
        self.admit(replace(admission, has_waited=True))

    # ---- provision

    async def _provision(self, asking: Sequence[tuple[Unprovisioned, str]]) -> None:
        if not asking:
            return
        found = await find_configurations(self._pool, [key for _, key in asking])
        del self._to_provision[: len(asking)]
        for module, key in asking:
            if module.is_gone:
                continue
            try:
                secret, record = found[key].open(self._sealer)
            except (KeyError, SealingError):
                module.provision_nothing()
            else:
                module.provision(record, secret, _new_token())


def _new_token() -> bytes:
    # 16 random bytes are 22 characters of the base64 alphabet.
    return b2a_base64(secrets.token_bytes(16))[:22]
