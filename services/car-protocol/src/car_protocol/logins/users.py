"""Answers logins of scheme 1: a user's name with his password or an API token.

Checking a password takes a core for milliseconds: each login is a task of its own, and a bounded pool of threads does the work.
While PostgreSQL is away they wait: whose a password is, and which vehicles are his, nobody else knows.
"""

import asyncio
from functools import partial
from typing import Final

import structlog

from car_protocol.logins.credentials import Caller
from car_protocol.logins.desk import Admission, LoginDesk
from car_protocol.logins.register import AWAY
from car_protocol.logins.user_sessions import UserSessions
from car_protocol.rooms.hub import Room
from ovms.auth.credentials import BearerToken, Password
from ovms.auth.delays import FIRST, LoginDelays, Source
from ovms.auth.passwords import Overloaded
from ovms.auth.published import is_loopback, is_published
from ovms.auth.rights import permits
from ovms.auth.sign_in import Recalled, SignIn
from ovms.bus.sessions import Login
from ovms.db.engine import Pool
from ovms.db.logins import Vehicle, find_vehicles_of
from ovms.db.tokens import looks_like_token
from ovms.identity import fold_vehicle_id
from ovms.protocol import ANY_VEHICLE, UserLogin
from ovms.stopping import end_tasks, sleep_unless_cancelled

RIGHT: Final = "v2"
RETRY_AFTER: Final = 0.25


class UserDesk:
    """Takes logins of users; who is right is let in by the login desk.

    Args:
        sign_in: knows whose a credential is.
        sessions: ends the sessions of users whose credentials are revoked.
        delays: slows down who guesses.
    """

    def __init__(self, pool: Pool, sign_in: SignIn, desk: LoginDesk, sessions: UserSessions, delays: LoginDelays) -> None:
        self._pool = pool
        self._sign_in = sign_in
        self._desk = desk
        self._sessions = sessions
        self._delays = delays
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("login")

    @property
    def waiting(self) -> int:
        """Logins that have no answer yet."""
        return len(self._tasks)

    def ask(self, caller: Caller, login: UserLogin) -> None:
        """Answer a login, soon."""
        task = asyncio.get_running_loop().create_task(self._answer(caller, login))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Answer no more."""
        await end_tasks(self._tasks)

    async def _answer(self, caller: Caller, login: UserLogin) -> None:
        name, source, loop, has_waited = login.user.lower(), Source(caller.address), asyncio.get_running_loop(), False
        credential, is_token = Password(login.user, login.password), None
        while not caller.is_gone:
            is_counted = False
            try:
                if is_token is None:
                    is_token = await self._is_token(credential)
                if not is_token and self._is_guess(credential, name):
                    if left := self._delays.left(name, source, loop.time()):
                        # Not all of it at once: another login of this source may be right meanwhile.
                        await asyncio.sleep(min(left, FIRST))
                        continue
                    # Counted before it is checked: logins that are checked together are as many.
                    self._delays.failed(name, source, loop.time())
                    is_counted = True
                admission = await self._check(caller, login)
            except (Overloaded, *AWAY) as error:
                # Not the peer's fault, so it is not closed: it waits, as long as it likes to.
                if is_counted:
                    self._delays.take_back(name, source)
                if not has_waited:
                    self._log.warning("a user's login waits", reason=type(error).__name__)
                has_waited = True
                await sleep_unless_cancelled(RETRY_AFTER)
                continue
            if admission is not None:
                self._delays.succeeded(name, source)
                self._desk.admit(admission)
            else:
                caller.refuse()
            return

    async def _is_token(self, credential: Password) -> bool:
        """Return whether an API token stands for the password: nobody guesses 256 bits."""
        token = credential.secret
        return looks_like_token(token) and await self._sign_in.sign_in(BearerToken(token)) is not None

    def _is_guess(self, credential: Password, name: str) -> bool:
        """Return whether a password may be a guess: it was not right before, or others of this name are guessed."""
        recalled = self._sign_in.recall(credential)
        return recalled is Recalled.NOTHING or (recalled is Recalled.RIGHT and self._delays.has_failures(name))

    async def _check(self, caller: Caller, login: UserLogin) -> Admission | None:
        if is_published(login.user, login.password) and not is_loopback(caller.address):
            return None
        who = await self._sign_in.sign_in(Password(login.user, login.password))
        if who is None or not permits(who.permit, RIGHT):
            return None
        vehicles = [one for one in await find_vehicles_of(self._pool, who.owner_id) if who.reaches(one.vehicle_id)]
        vehicle = _choose(vehicles, login.vehicle_id)
        if vehicle is None:
            return None
        vehicle_ids = [one.vehicle_id for one in vehicles]
        return Admission(caller, vehicle, partial(self._enter, caller, who, vehicle_ids))

    def _enter(self, caller: Caller, who: Login, vehicle_ids: list[str], room: Room) -> None:
        caller.enter_user(room, user=who.owner, vehicle_ids=vehicle_ids)
        self._sessions.add(caller, who)


def _choose(vehicles: list[Vehicle], wanted: str) -> Vehicle | None:
    if wanted == ANY_VEHICLE:
        return vehicles[0] if vehicles else None
    return next((one for one in vehicles if fold_vehicle_id(one.vehicle_id) == fold_vehicle_id(wanted)), None)
