"""The internal port: /livez, /readyz and /metrics.

It runs on the loop that serves the cars, so that /livez is silent exactly when they are.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from car_protocol.server import Server

READ_TIMEOUT: Final = 5.0
_TEXT: Final = "text/plain; charset=utf-8"


class ServerCollector(Collector):
    """Makes metrics of the plain numbers that the parts count."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def collect(self) -> Iterable[Metric]:
        """All metrics, at a scrape."""
        server = self._server
        counters = server.counters
        yield GaugeMetricFamily("ovms_connections", "Open connections", len(server.connections))
        yield GaugeMetricFamily("ovms_vehicles_connected", "Vehicles with a car or a watcher here", len(server.hub))
        yield GaugeMetricFamily("ovms_logins_waiting", "Logins without an answer yet", server.desk.waiting)
        yield _labelled("ovms_logins", "Logins by result", "result", counters.logins)
        yield _labelled("ovms_closed", "Connections closed for the peer's fault, by reason", "reason", counters.closed)
        yield CounterMetricFamily("ovms_messages_received", "Messages received, logins included", counters.events)
        yield CounterMetricFamily("ovms_messages_ignored", "Messages that cause nothing", counters.ignored)
        yield CounterMetricFamily("ovms_messages_unstored", "State messages too long to keep", counters.unstored)
        yield CounterMetricFamily("ovms_rows_written", "Rows committed", server.recorder.rows_written)
        yield CounterMetricFamily("ovms_samples_written", "Samples among these", server.recorder.samples_written)
        yield CounterMetricFamily("ovms_samples_lost", "Samples dropped, too many waiting", server.recorder.samples_lost)
        yield CounterMetricFamily("ovms_rows_refused", "Rows that PostgreSQL refused", server.recorder.rows_refused)
        yield CounterMetricFamily("ovms_batches_written", "Statements committed", server.recorder.batches_written)
        yield CounterMetricFamily("ovms_write_failures", "Writes put off, PostgreSQL being away", server.recorder.failures)
        pushes = {"delivered": server.outbox.delivered, "put off": server.outbox.retried, "dropped": server.outbox.dropped}
        yield _labelled("ovms_pushes", "Attempts to push a notification, by result", "result", pushes)
        yield CounterMetricFamily("ovms_published", "Messages published", server.publisher.published)
        yield CounterMetricFamily("ovms_unpublished", "Messages dropped, Redis being away", server.publisher.dropped)


def _labelled(name: str, help_text: str, label: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help_text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


class HealthPort:
    """A few fixed answers to GET.

    Args:
        checks: what /readyz asks of each part, by the part's name; True is ready.
    """

    def __init__(self, collector: Collector, checks: dict[str, Callable[[], Awaitable[bool]]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._checks = checks

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
        if path == b"/readyz":
            parts = {name: await check() for name, check in self._checks.items()}
            status = b"200 OK" if all(parts.values()) else b"503 Service Unavailable"
            return status, "application/json", json.dumps(parts).encode() + b"\n"
        if path == b"/metrics":
            return b"200 OK", "text/plain; version=0.0.4; charset=utf-8", generate_latest(self._registry)
        return b"404 Not Found", _TEXT, b"not found\n"
