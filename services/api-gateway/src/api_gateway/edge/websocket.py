"""uvicorn's WebSocket protocol, so that a connection can be cut off, and that one which has ended is no fault."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import Request

ABORT: Final = "ovms.abort"
"""Under this name the scope of a request has what cuts its connection off."""


class EdgeWebSocket(WSProtocol):
    """One WebSocket."""

    transport: asyncio.Transport

    def handle_connect(self, event: Request) -> None:
        """Serve what is asked for."""
        super().handle_connect(event)
        self.scope[ABORT] = self.transport.abort  # type: ignore[typeddict-unknown-key]

    async def send(self, message: Any) -> None:
        """Send; the peer or its silence may have closed the connection in the meantime."""
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
