"""uvicorn, run from here: one process, our protocol, no access log, an end on SIGTERM that lets answers finish.

HTTP and HTTPS are two ports of one server: one lifespan, one set of connections to end.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from api_gateway.edge.held import HeldBytes
from api_gateway.edge.protocol import EdgeProtocol
from api_gateway.edge.websocket import EdgeWebSocket
from ovms.accepting import Acceptor
from ovms.shares import NetworkShares, Peer
from ovms.stopping import on_stop_signal
from ovms.tls import HANDSHAKE_TIMEOUT, SHUTDOWN_TIMEOUT, Tls

KEEP_ALIVE: Final = 30
GRACE: Final = 10
STOP_WITHIN: Final = 18.0
"""Seconds from the signal to the end of the process: connections under way, `GRACE`, and what the lifespan takes to end."""
LAST_REQUESTS: Final = 0.05
MAX_FRAME: Final = 16 * 1024
"""What a client may say in one message of a WebSocket, bytes."""
DRAIN: Final = "drain"
"""Under this name the lifespan may leave a function in its state, to be called when the server is told to end."""
KNOWN: Final = "known"
"""Under this name the state has a function to call with a request's client once its caller is known."""


@dataclass(frozen=True, slots=True)
class Https:
    """A listening socket, and what TLS is spoken with on it."""

    listener: socket.socket
    tls: Tls


class Server(uvicorn.Server):
    """A server that ends with status 0 when it is asked to end, and has perhaps a second port."""

    def __init__(
        self,
        config: uvicorn.Config,
        limit: int,
        log: Any,
        is_trusted: Callable[[str], bool] = lambda _: False,
        https: Https | None = None,
        has_started: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._https = https
        self._has_started = has_started
        self._watch: asyncio.Task[None] | None = None
        self._shares = NetworkShares(limit)
        self.acceptor = Acceptor(self._connect, limit, self._shares, log, is_trusted)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; uvicorn itself accepts any number of connections, and speaks either TLS on all its sockets or on none."""
        await super().startup([])
        self.lifespan.state[KNOWN] = self._shares.leave
        for listening in sockets or []:
            self.acceptor.start(listening)
        if self._https is not None:
            self._watch = asyncio.get_running_loop().create_task(self._https.tls.watch())
            self.acceptor.start(
                self._https.listener,
                ssl=self._https.tls.context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
            )
        self._has_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody in any more, answer whoever has asked, and end."""
        if self._watch is not None:
            self._watch.cancel()
        self.lifespan.state.get(DRAIN, lambda: None)()
        await self.acceptor.end()
        for listening in (*(sockets or []), *([self._https.listener] if self._https is not None else [])):
            listening.close()
        # uvicorn closes a connection without a request at once: whoever came last has his read first.
        await asyncio.sleep(LAST_REQUESTS)
        await super().shutdown(sockets)

    def _connect(self, _: Peer) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    def _hang_up(self) -> None:
        if self._https is not None:
            self._https.tls.reload()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM in the loop; uvicorn's own way raises them again when all is done. SIGHUP reloads."""
        loop = asyncio.get_running_loop()
        on_stop_signal(partial(self.handle_exit, signal.SIGTERM, None), within=STOP_WITHIN)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)


def listen(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """A listening socket, with which other workers may share the port; raises OSError where it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def make_server(
    app: ASGIApp,
    limit: int,
    log: Any,
    is_trusted: Callable[[str], bool] = lambda _: False,
    protocol: type[EdgeProtocol] = EdgeProtocol,
    https: Https | None = None,
    has_started: Callable[[], None] = lambda: None,
    held: HeldBytes | None = None,
) -> Server:
    """A server for an application; `serve(sockets=[…])` runs it, and with `https` that port as well.

    Args:
        limit: connections that it accepts.
        log: a structlog logger.
        is_trusted: whether an address is that of a proxy, which connects for many.
        has_started: called once it serves.
        held: bounds what is being received.
    """
    return Server(
        uvicorn.Config(
            app,
            http=partial(protocol, held=held or HeldBytes()),  # type: ignore[arg-type]
            ws=EdgeWebSocket,
            ws_max_size=MAX_FRAME,
            ws_per_message_deflate=False,
            loop="uvloop",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        ),
        limit,
        log,
        is_trusted,
        https,
        has_started,
    )
