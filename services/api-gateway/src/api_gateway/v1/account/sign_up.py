"""Making an account, where the operator lets everybody do that."""

from typing import Annotated

import asyncpg
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from api_gateway.dependencies import PasswordsDep, PoolDep, ProxiesDep, SignUpsDep
from api_gateway.edge.limits import Buckets
from api_gateway.errors import ServiceUnavailable, TooManyRequests
from api_gateway.refusals import ROOT
from api_gateway.v1.answers import created
from api_gateway.v1.declared import declare
from api_gateway.v1.errors import InvalidRequest, NameTaken, SignUpClosed
from api_gateway.v1.fields import Email, OwnerPassword, ShortText, Wanted
from ovms.account_rules import check_owner_name
from ovms.auth.delays import network
from ovms.db.audit import record
from ovms.db.owners import add_owner
from ovms.errors import IdentityError

router = APIRouter(prefix=f"{ROOT}/accounts", tags=["account"])


class AccountWanted(Wanted):
    """An account to be made."""

    name: Annotated[ShortText, Field(min_length=1, description="With which you sign in; case does not matter")]
    password: Annotated[OwnerPassword, Field(description="8 to 256 characters of any kind")]
    email: Annotated[Email, Field(description="Empty: none is to be known")] = ""


class NewAccount(BaseModel):
    """An account that was made."""

    name: str


@router.post(
    "",
    status_code=201,
    summary="Make an account",
    response_model=NewAccount,
    response_description="You may sign in",
    responses={
        201: {"content": {"application/json": {"example": {"name": "alice"}}}},
        **declare(SignUpClosed, NameTaken, InvalidRequest, TooManyRequests, ServiceUnavailable),
    },
    operation_id="v1_sign_up",
)
async def sign_up(
    wanted: AccountWanted, request: Request, sign_ups: SignUpsDep, proxies: ProxiesDep, passwords: PasswordsDep, pool: PoolDep
) -> Response:
    """Make an account of your own, where this server is open to everybody (`OVMS_SIGN_UP`).

    `curl -H 'Content-Type: application/json' -d '{"name": "alice", "password": "a good one"}'
    http://127.0.0.1:6868/api/v1/accounts`
    """
    if (sign_ups := sign_ups) is None:
        raise SignUpClosed
    _check_name(wanted.name)
    _count(sign_ups, proxies.address_of(request.scope))
    hashed = await passwords.hash(wanted.password)
    try:
        async with pool.acquire() as connection, connection.transaction():
            owner = await add_owner(connection, wanted.name, email=wanted.email, password_hash=hashed)
            await record(connection, owner.key, actor=owner.name, means="password", action="account.create")
    except asyncpg.UniqueViolationError:
        raise NameTaken from None
    return created({"name": owner.name}, f"{ROOT}/account")


def _check_name(name: str) -> None:
    try:
        check_owner_name(name)
    except IdentityError:
        raise InvalidRequest.of("name", "Printable characters, and no space at the ends") from None


def _count(sign_ups: Buckets, address: str) -> None:
    level = sign_ups.take(network(address))
    if level is not None and level.left < 0:
        raise TooManyRequests(level.wait)
