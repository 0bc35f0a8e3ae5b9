"""Whether the process lives, and whether it can answer calls."""

import asyncio
from collections.abc import Awaitable
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from api_gateway.answers import json_answer, text_answer
from api_gateway.dependencies import ClientDep, PoolDep
from api_gateway.resources import UNAVAILABLE
from ovms.bus.readiness import check_writes

DEADLINE: Final = 3.0

router = APIRouter(tags=["health"])

_READY: Final = {"postgresql": "ok", "redis": "ok"}
_AWAY: Final = {"postgresql": "unavailable", "redis": "ok"}
_PART: Final = {"type": "string", "enum": ["ok", "unavailable"]}
_SCHEMA: Final = {
    "type": "object",
    "properties": {"postgresql": _PART, "redis": _PART},
    "required": ["postgresql", "redis"],
}


@router.get(
    "/livez",
    summary="Does the process live?",
    response_class=Response,
    responses={200: {"description": "It does", "content": {"text/plain": {"example": "ok\n"}}}},
)
async def live() -> Response:
    """Answers as long as the process runs, whatever PostgreSQL and Redis do."""
    return text_answer("ok")


@router.get(
    "/readyz",
    summary="Can it answer calls?",
    response_class=Response,
    responses={
        200: {"description": "All parts answer", "content": {"application/json": {"schema": _SCHEMA, "example": _READY}}},
        503: {
            "description": "A part does not answer",
            "content": {"application/json": {"schema": _SCHEMA, "example": _AWAY}},
        },
    },
)
async def ready(pool: PoolDep, client: ClientDep) -> Response:
    """Reads from PostgreSQL and writes to Redis; 200 only where both succeed."""
    postgresql, redis = await asyncio.gather(_ask(pool.fetchval("SELECT 1")), _ask(check_writes(client)))
    status = 200 if (postgresql, redis) == ("ok", "ok") else 503
    return json_answer({"postgresql": postgresql, "redis": redis}, status)


async def _ask(question: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(DEADLINE):
            await question
    except UNAVAILABLE:
        return "unavailable"
    return "ok"
