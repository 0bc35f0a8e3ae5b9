"""Answers that are longer than memory should hold: sent while they are read."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api_gateway.auth.authenticator import Caller
from api_gateway.dependencies import parts_of
from api_gateway.edge.deadlines import allow_longer
from api_gateway.errors import TooManyDownloads
from api_gateway.refusals import refusal
from api_gateway.resources import UNAVAILABLE

Slot = Callable[[], AbstractContextManager[None]]

LONGER: Final = 600.0
"""Seconds more than others that most such answers may take: its reader may be slow, but not for ever."""


class Streamed(StreamingResponse):
    """An answer in pieces.

    Where PostgreSQL goes away meanwhile its end is missing, so that its reader sees that it was cut.
    """

    def __init__(self, pieces: AsyncIterator[bytes], slot: Slot, *headers: tuple[bytes, bytes]) -> None:
        self.body_iterator = pieces
        self.status_code = 200
        self.background = None
        self.raw_headers = [*headers]
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._slot():
                await super().__call__(scope, receive, send)
        except UNAVAILABLE:
            return
        except TooManyDownloads as error:
            # Raised before anything is sent.
            await refusal(scope, error)(scope, receive, send)


def slot_of(request: Request, caller: Caller) -> Slot:
    """Return a slot for a long answer of this caller."""
    return partial(parts_of(request.scope).downloads.opened, (caller.owner_id, caller.login.proof))


async def in_pieces(
    request: Request, slot: Slot, pieces: AsyncIterator[bytes], *headers: tuple[bytes, bytes], longer: float = LONGER
) -> Streamed:
    """Answer in pieces. The first is made before anything is sent, so that what fails at once is answered as elsewhere.

    Args:
        slot: held while the answer is sent.
        longer: seconds more than others that the answer may take.
    """
    first = await anext(pieces)

    async def all_pieces() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    allow_longer(request.scope, longer)
    return Streamed(all_pieces(), slot, *headers)
