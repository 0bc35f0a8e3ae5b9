"""The caller's own account: his address and his password."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.auth.authenticator import Caller
from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import AccountAdmin, DoorDep, PasswordsDep, PoolDep, ProxiesDep, RevocationsDep, SessionsDep
from api_gateway.errors import AuthenticationFailed
from api_gateway.refusals import ROOT
from api_gateway.trail import note
from api_gateway.v1.answers import done, json_answer
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, PasswordWrong
from api_gateway.v1.fields import Email, GivenPassword, OwnerPassword, Wanted
from ovms.auth.credentials import Password
from ovms.auth.sign_in import prove_password
from ovms.bus.sessions import Sessions
from ovms.db.owners import Profile, change_email, change_password, read_profile
from ovms.db.tokens import delete_tokens

router = APIRouter(prefix=f"{ROOT}/account", tags=["account"])

_EXAMPLE: Final = {"name": "demo", "email": "demo@example.org", "created_at": "2026-11-22T19:12:23Z"}


class Account(BaseModel):
    """An account."""

    name: Annotated[str, Field(description="With which you sign in; case does not matter")]
    email: Annotated[str, Field(description="Empty: none is known")]
    created_at: datetime


class AccountChange(Wanted):
    """What is to change of an account."""

    email: Annotated[Email, Field(description="Empty: none is to be known")]


class PasswordChange(Wanted):
    """A new password."""

    current: Annotated[GivenPassword, Field(description="The password as it is")]
    new: Annotated[OwnerPassword, Field(description="8 to 256 characters of any kind")]
    revoke_tokens: Annotated[bool, Field(description="Delete all API tokens and links too")] = False


async def _confirming(request: Request, door: DoorDep, proxies: ProxiesDep) -> Callable[[Caller, str], Awaitable[None]]:
    async def confirm(caller: Caller, password: str) -> None:
        login = await door.sign_in(Password(caller.login.owner, password), partial(proxies.address_of, request.scope))
        if login is None or login.token is not None or login.owner_id != caller.owner_id:
            raise PasswordWrong

    return confirm


Confirm = Annotated[Callable[[Caller, str], Awaitable[None]], Depends(_confirming)]
"""Checks the password of a caller, whatever it signed in with: a cookie may be in the hands of another person by now.

Raises:
    PasswordWrong: it is another one; a token does not count.
    TooManyAttempts: too many were wrong.
"""


@router.get(
    "",
    summary="Your account",
    response_model=Account,
    response_description="The account",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}, **problems()},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_account",
)
async def read(caller: AccountAdmin, pool: PoolDep) -> Response:
    """Return your account.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/account`
    """
    return json_answer(_render(await read_profile(pool, caller.owner_id)))


@router.patch(
    "",
    summary="Change your account",
    response_model=Account,
    response_description="The account as it is now",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}, **problems(InvalidRequest)},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_change_account",
)
async def change(wanted: AccountChange, caller: AccountAdmin, pool: PoolDep) -> Response:
    """Change your e-mail address.

    `curl -u demo:demo -X PATCH -H 'Content-Type: application/json' -d '{"email": "demo@example.org"}'
    http://127.0.0.1:6868/api/v1/account`
    """
    async with pool.acquire() as connection, connection.transaction():
        await change_email(connection, caller.owner_id, wanted.email)
        await note(connection, caller, "account.email")
        profile = await read_profile(connection, caller.owner_id)
    return json_answer(_render(profile))


@router.put(
    "/password",
    status_code=204,
    summary="Change your password",
    response_class=Response,
    response_description="It is changed",
    responses=problems(PasswordWrong, InvalidRequest),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_change_password",
)
async def change_own_password(
    wanted: PasswordChange,
    caller: AccountAdmin,
    confirm: Confirm,
    passwords: PasswordsDep,
    pool: PoolDep,
    sessions: SessionsDep,
    revocations: RevocationsDep,
) -> Response:
    """Change your password; the current one is needed also where a cookie or a token signs you in. Everybody else who is signed
    in with the current one is so no more. API tokens go on unless `revoke_tokens` says otherwise.

    `curl -u alice:a-good-one -X PUT -H 'Content-Type: application/json' -d '{"current": "a-good-one", "new": "a better one"}'
    http://127.0.0.1:6868/api/v1/account/password`
    """
    await confirm(caller, wanted.current)
    hashed = await passwords.hash(wanted.new)
    async with pool.acquire() as connection, connection.transaction():
        await change_password(connection, caller.owner_id, hashed)
        if wanted.revoke_tokens:
            await delete_tokens(connection, caller.owner_id)
        await note(connection, caller, "account.password", detail={"revoke_tokens": wanted.revoke_tokens})
    await _go_on(caller, hashed, sessions)
    await revocations.publish(caller.owner_id)
    return done()


async def _go_on(caller: Caller, hashed: str, sessions: Sessions) -> None:
    """Let the session of who has changed his password go on: it is renewed only while what it was begun with stands."""
    if caller.session is not None and caller.login.token is None:
        await sessions.prove(caller.session, prove_password(caller.login, hashed))


def _render(profile: Profile | None) -> dict[str, Any]:
    if profile is None:
        raise AuthenticationFailed
    return {"name": profile.name, "email": profile.email, "created_at": profile.created_at}
