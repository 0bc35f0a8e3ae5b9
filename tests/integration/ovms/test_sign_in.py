"""Passwords that were brought along, at two replicas at once."""

from __future__ import annotations

import time

import asyncpg

from ovms.auth.credentials import Password
from ovms.auth.passwords import Overloaded, PasswordChecks
from ovms.auth.remembered import Remembered
from ovms.auth.sign_in import SignIn
from ovms.db.accounts import credentials_stand
from ovms.db.passwords import hash_password, verify_password

# Of "password", see tests/unit/ovms/db/test_drupal.py.
DRUPAL = "$S$CFURCPa.k6FAEbJPgejaW4nijv7rYgGc4dUJtChQtV4KLJTPTC/u"

Pool = asyncpg.Pool


class Slow(PasswordChecks):
    """While it hashes, somebody else gives the owner a password."""

    def __init__(self, pool: Pool[asyncpg.Record], other: str) -> None:
        super().__init__(verify_password)
        self._pool, self._other = pool, other

    async def hash(self, password: str) -> str:
        await self._pool.execute("UPDATE owners SET password_hash = $1", hash_password(self._other))
        return await super().hash(password)


class Busy(PasswordChecks):
    async def hash(self, password: str) -> str:
        raise Overloaded


def sign_in(pool: Pool[asyncpg.Record], checks: PasswordChecks) -> SignIn:
    return SignIn(pool, checks, Remembered(time.monotonic), hash_password("nobody's"))


async def add_owner(pool: Pool[asyncpg.Record]) -> None:
    await pool.execute("INSERT INTO owners (name, password_hash) VALUES ('Ann', $1)", DRUPAL)


async def test_whose_password_was_hashed_anew_elsewhere_signs_in_with_what_is_stored(pool: Pool[asyncpg.Record]) -> None:
    await add_owner(pool)
    login = await sign_in(pool, Slow(pool, "password")).sign_in(Password("ann", "password"))
    assert login is not None
    assert await credentials_stand(pool, [(login.owner_id, login.proof)]) == [True]


async def test_a_password_that_is_changed_meanwhile_stays_changed(pool: Pool[asyncpg.Record]) -> None:
    await add_owner(pool)
    assert await sign_in(pool, Slow(pool, "another")).sign_in(Password("ann", "password")) is None
    assert verify_password(await pool.fetchval("SELECT password_hash FROM owners"), "another")


async def test_a_password_is_hashed_another_time_where_too_many_wait(pool: Pool[asyncpg.Record]) -> None:
    await add_owner(pool)
    login = await sign_in(pool, Busy(verify_password)).sign_in(Password("ann", "password"))
    assert login is not None
    assert await pool.fetchval("SELECT password_hash FROM owners") == DRUPAL
    assert await credentials_stand(pool, [(login.owner_id, login.proof)]) == [True]
