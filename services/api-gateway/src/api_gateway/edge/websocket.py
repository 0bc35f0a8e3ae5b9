"""uvicorn's WebSocket protocol with bounds on frames; it can be cut off, and one that has ended is no fault."""

import asyncio
from contextlib import suppress
from typing import Any, Final

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import CloseConnection, Request
from wsproto.utilities import LocalProtocolError

from ovms.errors import TooManyFrames
from ovms.websockets import TOO_MANY, BoundedWebSocket

ABORT: Final = "ovms.abort"
"""Under this name the scope of a request has what cuts its connection off."""
LOGGED_IN: Final = "ovms.logged_in"
"""Under this name the scope of a WebSocket has a function to call when its caller is known: it may send more from then on."""
MESSAGES: Final = 200
"""Messages of one second. The first says who the caller is, and the others mean nothing."""


class EdgeWebSocket(WSProtocol):
    """One WebSocket."""

    transport: asyncio.Transport

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn: BoundedWebSocket = BoundedWebSocket(self.loop.time, messages=MESSAGES)

    def data_received(self, data: bytes) -> None:
        """Read frames, until there are too many."""
        try:
            super().data_received(data)
        except TooManyFrames as error:
            self._end(str(error))

    def _end(self, reason: str) -> None:
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": TOO_MANY, "reason": reason})
        with suppress(LocalProtocolError):  # there is no WebSocket yet, or it is closed already
            self.transport.write(self.conn.send(CloseConnection(code=TOO_MANY, reason=reason)))
        self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """Serve what is asked for."""
        super().handle_connect(event)
        self.scope[ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]
        self.scope[LOGGED_IN] = self.conn.lift_login_limit  # type: ignore[typeddict-unknown-key]

    async def send(self, message: Any) -> None:
        """Send; the peer or its silence may have closed the connection in the meantime."""
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
