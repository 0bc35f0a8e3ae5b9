"""Answers that are longer than memory should hold: sent while they are read."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api_gateway.edge.deadlines import allow_longer
from api_gateway.resources import UNAVAILABLE
from api_gateway.v1.answers import VARY

LONGER: Final = 600.0
"""Seconds more than others that most such answers may take: its reader may be slow, but not for ever."""


class Streamed(StreamingResponse):
    """An answer in pieces. Where PostgreSQL goes away meanwhile its end is missing, so that its reader sees that it was cut."""

    def __init__(self, pieces: AsyncIterator[bytes], kind: str, *headers: tuple[bytes, bytes]) -> None:
        self.body_iterator = pieces
        self.status_code = 200
        self.background = None
        self.raw_headers = [(b"content-type", kind.encode()), *VARY, *headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except UNAVAILABLE:
            return


async def in_pieces(
    request: Request, pieces: AsyncIterator[bytes], kind: str, *headers: tuple[bytes, bytes], longer: float = LONGER
) -> Streamed:
    """Answer in pieces. The first is made before anything is sent, so that what fails at once is told as elsewhere.

    Args:
        longer: seconds more than others that the answer may take.
    """
    first = await anext(pieces)

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    allow_longer(request.scope, longer)
    return Streamed(all_pieces(), kind, *headers)
