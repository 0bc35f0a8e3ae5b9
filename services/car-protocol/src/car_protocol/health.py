"""The internal port: /livez, /readyz, /readyz/<part> and /metrics.

It runs on the loop that serves the cars, so that /livez is silent exactly when they are.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest

READ_TIMEOUT: Final = 5.0
_TEXT: Final = "text/plain; charset=utf-8"


class HealthPort:
    """A few fixed answers to GET.

    Args:
        registry: what /metrics answers.
        checks: what /readyz asks of each part, and /readyz/<part> of one, by the part's name; True is ready.
    """

    def __init__(self, registry: CollectorRegistry, checks: dict[str, Callable[[], Awaitable[bool]]]) -> None:
        self._registry = registry
        self._checks = checks
        self._parts = {f"/readyz/{name}".encode(): {name: check} for name, check in checks.items()}

    async def open(self, host: str, port: int) -> asyncio.Server:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        return await asyncio.start_server(self._serve, host, port, limit=8192)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
            status, kind, body = await self._answer(head.split(b" ")[1].split(b"?")[0])
            writer.write(
                b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                % (status, kind.encode(), len(body), body)
            )
            await writer.drain()
        except (OSError, TimeoutError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # who asks for health and does not listen gets no answer
        finally:
            writer.close()

    async def _answer(self, path: bytes) -> tuple[bytes, str, bytes]:
        if path == b"/livez":
            return b"200 OK", _TEXT, b"ok\n"
        if path == b"/readyz" or path in self._parts:
            asked = self._checks if path == b"/readyz" else self._parts[path]
            parts = {name: await check() for name, check in asked.items()}
            status = b"200 OK" if all(parts.values()) else b"503 Service Unavailable"
            return status, "application/json", json.dumps(parts).encode() + b"\n"
        if path == b"/metrics":
            return b"200 OK", "text/plain; version=0.0.4; charset=utf-8", generate_latest(self._registry)
        return b"404 Not Found", _TEXT, b"not found\n"
