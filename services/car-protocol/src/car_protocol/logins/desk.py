"""Answers logins: lets in whose credentials are right, many at once. Redis numbers the sessions of the cars among them at once.

Before `MP-S` nobody is closed but for wrong credentials (see `credentials`): the others wait, and their connections stay open.
"""

import asyncio
import secrets
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

import structlog

from car_protocol.logins.credentials import Caller, Credentials
from car_protocol.logins.greeter import Greeter
from car_protocol.logins.notices import LoginNotices
from car_protocol.logins.register import AWAY, Register
from car_protocol.rooms.follower import Follower
from car_protocol.rooms.hub import Hub, Room
from car_protocol.rooms.presence import PresenceKeeper
from car_protocol.storage.recorder import Recorder
from ovms.auth.delays import LoginDelays, Source
from ovms.bus.errors import FAILURES
from ovms.bus.presence import Claim
from ovms.db.autoprovision import find_configurations, find_enciphered
from ovms.db.engine import Pool
from ovms.db.logins import Vehicle
from ovms.db.sealing import Sealer, SealingError
from ovms.identity import Role
from ovms.outages import POSTGRESQL, REDIS, report_outage
from ovms.protocol import Login
from ovms.stopping import sleep_unless_cancelled

BATCH: Final = 500
RETRY_AFTER: Final = 0.25
FREE_KEYS: Final = 20
"""Keys of configurations that an address may ask for in vain without a delay: modules ask again and again."""
ANY_KEY: Final = ""
TOKEN_SIZE: Final = 16
TOKENS_AT_ONCE: Final = 64


class Unprovisioned(Protocol):
    """A connection of a module that asks for its configuration."""

    @property
    def address(self) -> str:
        """The address that it connects from."""

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""

    def provision(self, record: bytes, secret: bytes, token: bytes) -> None:
        """Send its configuration."""

    def provision_enciphered(self, token: bytes, digest: bytes, record: bytes) -> None:
        """Send its configuration as it was enciphered elsewhere."""

    def provision_nothing(self) -> None:
        """Say that there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Admission:
    """A caller whose credentials are right."""

    caller: Caller
    vehicle: Vehicle
    answer: Callable[[Room], None]
    """Answers his welcome."""
    waits_since: int = 0
    """Since when it waits before it ends another session of the same car, in milliseconds of Redis' clock; 0: it does not."""


class LoginDesk:
    """Takes logins and greets who came in.

    Args:
        pool: PostgreSQL.
        register: knows the vehicles.
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
        register: Register,
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
        self._credentials = Credentials(register, sealer, notices, delays, self._proven)
        self._sealer = sealer
        self._presence = presence
        self._hub = hub
        self._recorder = recorder
        self._follower = follower
        self._greeter = greeter
        self._key_delays = LoginDelays(free=FREE_KEYS)
        self._tokens = ServerTokens()
        self._admitted: list[Admission] = []
        self._to_provision: list[tuple[Unprovisioned, str]] = []
        self._waiting_again: set[Admission] = set()
        self._has_admitted, self._has_to_provision = asyncio.Event(), asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._log = structlog.get_logger("login")

    @property
    def waiting(self) -> int:
        """Logins that have no answer yet."""
        return self._credentials.waiting + len(self._admitted) + len(self._waiting_again) + len(self._to_provision)

    def ask(self, caller: Caller, login: Login) -> None:
        """Answer a login, soon."""
        self._credentials.ask(caller, login)

    def _proven(self, caller: Caller, vehicle: Vehicle, secret: bytes) -> None:
        self.admit(Admission(caller, vehicle, partial(caller.enter, secret=secret, server_token=self._tokens.new())))

    def admit(self, admission: Admission) -> None:
        """Let somebody in whose credentials were checked elsewhere, soon."""
        self._admitted.append(admission)
        self._has_admitted.set()

    def ask_for_configuration(self, module: Unprovisioned, key: str) -> None:
        """Answer a request for a configuration, soon; later where others of its network asked for keys that do not exist."""
        if module.is_gone or self._must_wait_for_configuration(module, key):
            return
        self._to_provision.append((module, key))
        self._has_to_provision.set()

    def _must_wait_for_configuration(self, module: Unprovisioned, key: str) -> bool:
        # One name for all keys: it is the keys that are guessed.
        left = self._key_delays.left(ANY_KEY, Source(module.address), self._loop.time())
        if left:
            self._loop.call_later(left, self.ask_for_configuration, module, key)
        return left > 0

    async def run(self) -> None:
        """Answer until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            # Each by itself: who waits for PostgreSQL holds up nobody else.
            tasks.create_task(self._credentials.run())
            tasks.create_task(self._let_all_in())
            tasks.create_task(self._provision_all())

    # ---- let in

    async def _let_all_in(self) -> None:
        while True:
            await self._has_admitted.wait()
            await self._let_in(self._admitted[:BATCH])
            if not self._admitted:
                self._has_admitted.clear()

    async def _let_in(self, admitted: Sequence[Admission]) -> None:
        # Who has gone meanwhile must not end the session of who has come instead.
        cars = [admission for admission in admitted if admission.caller.role is Role.CAR and not admission.caller.is_gone]
        claims = await self._claim(cars)
        del self._admitted[: len(admitted)]
        for admission in admitted:
            if not admission.caller.is_gone:
                self._enter(admission, claims.get(admission))
            elif admission in cars:
                self._hub.renounce(admission.vehicle)

    async def _claim(self, cars: Sequence[Admission]) -> dict[Admission, Claim]:
        """What Redis says of the cars; nothing where it is away: then they come in without it."""
        if not cars:
            return {}
        try:
            claims = await self._presence.claim([(car.vehicle.name, car.waits_since) for car in cars])
        except FAILURES as error:
            report_outage(self._log, REDIS, "cars log in without it", error)
            return {}
        return dict(zip(cars, claims, strict=True))

    def _enter(self, admission: Admission, claim: Claim | None) -> None:
        caller, vehicle = admission.caller, admission.vehicle
        if claim is not None and claim.delay:
            # Two modules with one id: none of them is closed, which it would take for wrong credentials.
            self._waiting_again.add(admission)
            self._loop.call_later(claim.delay, self._admit_again, admission, claim.present.at // 1000)
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
        greatest = max(room.epoch, self._presence.greatest_session(room.name))
        if claim is None:
            # A number of the same kind as Redis would have given; this session is newer than all that are known here.
            epoch, elsewhere = int(self._recorder.wall(now) * 1000), None
            greatest = max(greatest, room.elsewhere.session)
        else:
            # Another replica may have claimed the car since: its number stays the greater one.
            epoch, elsewhere = claim.epoch, self._follower.elsewhere(claim.present)
        self._hub.join_car(room, car, now, epoch=max(epoch, greatest + 1), elsewhere=elsewhere)

    def _admit_again(self, admission: Admission, waits_since: int) -> None:
        self._waiting_again.discard(admission)
        self.admit(replace(admission, waits_since=waits_since))

    # ---- provision

    async def _provision_all(self) -> None:
        while True:
            await self._has_to_provision.wait()
            try:
                await self._provision(self._to_provision[:BATCH])
            except AWAY as error:
                report_outage(self._log, POSTGRESQL, "requests for configurations wait", error)
                await sleep_unless_cancelled(RETRY_AFTER)
            if not self._to_provision:
                self._has_to_provision.clear()

    async def _provision(self, asking: Sequence[tuple[Unprovisioned, str]]) -> None:
        keys = [key for _, key in asking]
        found = await find_configurations(self._pool, keys)
        missing = [key for key in keys if key not in found]
        brought = await find_enciphered(self._pool, missing) if missing else {}
        del self._to_provision[: len(asking)]
        for module, key in asking:
            if module.is_gone or self._must_wait_for_configuration(module, key):
                continue
            if key not in found and key not in brought:
                self._key_delays.failed(ANY_KEY, Source(module.address), self._loop.time())
            if (enciphered := brought.get(key)) is not None:
                module.provision_enciphered(*enciphered)
                continue
            try:
                secret, record = found[key].open(self._sealer)
            except (KeyError, SealingError):
                module.provision_nothing()
            else:
                module.provision(record, secret, self._tokens.new())


class ServerTokens:
    """Makes the random tokens of the server's side of a login; one system call serves many of them."""

    def __init__(self) -> None:
        self._random = b""

    def new(self) -> bytes:
        """Return 22 characters of the base64 alphabet, 128 random bits."""
        if not self._random:
            self._random = secrets.token_bytes(TOKEN_SIZE * TOKENS_AT_ONCE)
        token, self._random = self._random[:TOKEN_SIZE], self._random[TOKEN_SIZE:]
        return b2a_base64(token)[:22]
