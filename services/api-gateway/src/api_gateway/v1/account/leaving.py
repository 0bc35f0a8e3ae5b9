"""Taking all of one's data along, and erasing it."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from api_gateway.auth.schemes import SIGNED_IN
from api_gateway.dependencies import AccountAdmin, PoolDep, RemovalsDep, RevocationsDep, SessionsDep
from api_gateway.edge.deadlines import allow_longer
from api_gateway.pieces import in_pieces, slot_of
from api_gateway.refusals import ROOT
from api_gateway.trail import note
from api_gateway.v1.account.profile import Confirm
from api_gateway.v1.answers import VARY, done, json_body
from api_gateway.v1.declared import problems
from api_gateway.v1.errors import InvalidRequest, PasswordWrong
from api_gateway.v1.fields import GivenPassword, Wanted
from ovms.db.engine import Pool
from ovms.db.export import Row, export
from ovms.db.owners import remove_owner
from ovms.db.vehicles import REMOVED_WITHIN

router = APIRouter(prefix=f"{ROOT}/account", tags=["account"])

NDJSON: Final = "application/x-ndjson"
EXPORTED_WITHIN: Final = 3600.0
"""Seconds that a whole export may take its reader."""
_FILE: Final = (
    (b"content-type", NDJSON.encode()),
    *VARY,
    (b"cache-control", b"no-store"),
    (b"content-disposition", b'attachment; filename="ovms.ndjson"'),
)
_JSON: Final = ("detail", "arguments")
"""Columns of JSON, which come as text."""
CHUNK: Final = 64 * 1024

_EXAMPLE: Final = '{"kind":"account","name":"demo","email":"","created_at":"2026-11-22T19:12:23Z"}\n{"kind":"end","rows":1}\n'


class Erasure(Wanted):
    """That all is to be erased."""

    password: Annotated[GivenPassword, Field(description="Yours, whatever you are signed in with")]


@router.get(
    "/export",
    summary="All of your data",
    response_class=Response,
    response_description="A JSON object a line; the last is of the kind `end`",
    responses={200: {"content": {NDJSON: {"schema": {"type": "string"}, "example": _EXAMPLE}}}, **problems()},
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_export",
)
async def export_all(request: Request, caller: AccountAdmin, pool: PoolDep) -> Response:
    """Return all that is kept of you: account, tokens, vehicles, their messages, history, samples, shares, subscriptions,
    traffic, and what was done. Passwords, and what tokens are checked against, are not in it. What is no text comes
    as `{"base64": …}`.

    `curl -u demo:demo http://127.0.0.1:6868/api/v1/account/export`
    """
    async with pool.acquire() as connection:
        await note(connection, caller, "account.export")
    lines = _lines(pool, caller.owner_id)
    return await in_pieces(request, slot_of(request, caller), lines, *_FILE, longer=EXPORTED_WITHIN)


@router.delete(
    "",
    status_code=204,
    summary="Erase your account",
    response_class=Response,
    response_description="All is erased",
    responses=problems(PasswordWrong, InvalidRequest),
    openapi_extra=dict(SIGNED_IN),
    operation_id="v1_erase_account",
)
async def erase(
    wanted: Erasure,
    request: Request,
    caller: AccountAdmin,
    confirm: Confirm,
    pool: PoolDep,
    sessions: SessionsDep,
    removals: RemovalsDep,
    revocations: RevocationsDep,
) -> Response:
    """Erase your account with your vehicles and all that is kept of them and of you. There is no way back.

    `curl -u alice:a-good-one -X DELETE -H 'Content-Type: application/json' -d '{"password": "a-good-one"}'
    http://127.0.0.1:6868/api/v1/account`
    """
    await confirm(caller, wanted.password)
    allow_longer(request.scope, REMOVED_WITHIN)
    async with pool.acquire() as connection, connection.transaction():
        vehicles = await remove_owner(connection, caller.owner_id, caller.login.owner)
    await sessions.end_all(caller.owner_id)
    await removals.publish(vehicles)
    await revocations.publish(caller.owner_id)
    return done()


async def _lines(pool: Pool, owner_id: int) -> AsyncIterator[bytes]:
    count, lines = 0, bytearray()
    async for kind, row in export(pool, owner_id):
        lines += json_body({"kind": kind, **_readable(row)})
        count += 1
        if len(lines) > CHUNK:
            yield bytes(lines)
            lines.clear()
    yield bytes(lines) + orjson.dumps({"kind": "end", "rows": count}, option=orjson.OPT_APPEND_NEWLINE)


def _readable(row: Row) -> dict[str, Any]:
    shown = {name: _text(value) if isinstance(value, bytes) else value for name, value in row.items()}
    return shown | {name: json.loads(row[name]) for name in _JSON if name in row}


def _text(data: bytes) -> str | dict[str, str]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
