"""The fields that every answer carries beside its own: one layer for all of them, since each would cost a call a message."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Field: TypeAlias = tuple[bytes, bytes]
Fields: TypeAlias = Callable[[Scope, Sequence[Field]], Iterable[Field]]
"""Which fields an answer to a request gets, that has these already."""

_STARTS: Final = frozenset({"http.response.start", "websocket.http.response.start"})


class AnswerFields:
    """Middleware around everything else."""

    def __init__(self, app: ASGIApp, *fields: Fields) -> None:
        self._app = app
        self._fields = fields

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_fields(message: Message) -> None:
            if message["type"] in _STARTS:
                message["headers"] = headers = [*message.get("headers", ())]
                for fields in self._fields:
                    headers += fields(scope, headers)
            await send(message)

        await self._app(scope, receive, send_with_fields)
