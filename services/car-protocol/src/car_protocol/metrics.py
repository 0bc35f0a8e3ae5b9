"""Every metric of this service, made of the plain numbers that its parts count."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from car_protocol.connections.listener import Listener, ListenerState
from car_protocol.server import Server
from ovms.db.engine import Pool
from ovms.metrics import LoopLag, counter, counters, gauge, gauges, histograms, of_build, of_loop, of_pools, of_stages, one_of
from ovms.records import RECORDS

CODES: Final = frozenset(RECORDS) | frozenset("AaCcEFfGgHhPpTZ")
"""Messages that protocol v2 knows; whoever makes others up does not make labels."""
OTHER: Final = "other"

# Told from the beginning: what appears with its first count cannot be seen to grow by it.
_LOGINS: Final = {"accepted": 0, "refused": 0}
_TAKEOVERS: Final = {"here": 0, "elsewhere": 0}


class ServerCollector(Collector):
    """Reads what the parts have counted.

    Args:
        pools: the pools of connections to PostgreSQL, by what they are for.
    """

    def __init__(self, server: Server, listener: Listener, pools: Mapping[str, Pool], lag: LoopLag) -> None:
        self._server = server
        self._listener = listener
        self._pools = pools
        self._lag = lag

    def collect(self) -> Iterable[Metric]:
        """All metrics, at a scrape."""
        yield of_build(self._server.version.decode())
        yield of_loop(self._lag)
        yield of_pools(self._pools)
        yield from self._of_connections()
        yield from self._of_messages()
        yield from self._of_rows()
        yield from self._of_publications()

    def _of_connections(self) -> Iterable[Metric]:
        server = self._server
        counted = server.counters
        yield one_of("ovms_replica_state", "What the replica does now", "state", ListenerState, self._listener.state)
        yield gauge("ovms_connections", "Open connections", len(server.connections))
        yield gauge("ovms_connections_limit", "Connections after which the port is closed", server.settings.connections)
        yield gauges("ovms_sessions", "Peers that have logged in", ["peer"], _sessions(server))
        yield gauge("ovms_vehicles_connected", "Vehicles with a car or a watcher here", len(server.hub))
        yield gauge("ovms_logins_waiting", "Logins without an answer yet", server.desk.waiting + server.users.waiting)
        yield counters("ovms_logins", "Logins by result", ["result"], _LOGINS | counted.logins)
        closed = "Connections closed for the peer's fault, by reason"
        yield counters("ovms_connections_closed", closed, ["reason"], counted.closed)
        taken_over = "Sessions of cars that a newer session of the same car has ended, by where that is"
        yield counters("ovms_takeovers", taken_over, ["by"], _TAKEOVERS | server.hub.takeovers)

    def _of_messages(self) -> Iterable[Metric]:
        counted = self._server.counters
        values = {("received", code): count for code, count in by_code(counted.received).items()}
        values |= {("sent", code): count for code, count in by_code(counted.sent).items()}
        text = "Messages of sessions, by direction and code; the server's own pings are not counted"
        yield counters("ovms_messages", text, ["direction", "code"], values)
        yield counter("ovms_messages_ignored", "Messages that cause nothing", counted.ignored)
        yield counter("ovms_messages_unstored", "State messages too long to keep", counted.unstored)
        recorder = self._server.recorder
        yield of_stages({"login": counted.login_seconds, "written": recorder.age, "published": self._server.publisher.age})

    def _of_rows(self) -> Iterable[Metric]:
        recorder, outbox = self._server.recorder, self._server.outbox
        yield gauge("ovms_acknowledgements_waiting", "Acknowledgements that wait for a commit", recorder.acknowledgements)
        yield gauge("ovms_unwritten_bytes", "What waits to be written", recorder.unwritten_bytes)
        yield gauge("ovms_unwritten_limit_bytes", "After which cars are read no more", self._server.settings.pending_bytes)
        yield histograms("ovms_batch_rows", "Rows of each statement that was committed", [], {(): recorder.batch_rows})
        yield histograms("ovms_batch_seconds", "Time that PostgreSQL took for one", [], {(): recorder.batch_seconds})
        yield counter("ovms_rows_written", "Rows committed", recorder.rows_written)
        yield counter("ovms_samples_written", "Samples among these", recorder.samples_written)
        yield counter("ovms_samples_lost", "Samples dropped, too many waiting", recorder.samples_lost)
        yield counter("ovms_state_history_written", "Rows of the state history among these", recorder.state_history_written)
        yield counter("ovms_state_history_lost", "Rows of it dropped, too many waiting", recorder.state_history_lost)
        yield counter("ovms_rows_refused", "Rows that PostgreSQL refused", recorder.rows_refused)
        yield counter("ovms_write_failures", "Writes put off, PostgreSQL being away", recorder.failures)
        pushes = {"delivered": outbox.delivered, "put off": outbox.retried, "dropped": outbox.dropped}
        yield counters("ovms_pushes", "Attempts to push a notification, by result", ["result"], pushes)

    def _of_publications(self) -> Iterable[Metric]:
        publisher = self._server.publisher
        yield gauge("ovms_unpublished_bytes", "What waits to be published", publisher.unpublished_bytes)
        yield counter("ovms_published", "Messages published", publisher.published)
        yield counter("ovms_unpublished", "Messages dropped, Redis being away", publisher.dropped)


def by_code(counts: Sequence[int]) -> dict[str, int]:
    """Messages by code, of those that there were: the index of a count is the code's byte."""
    found: dict[str, int] = {}
    for code, count in enumerate(counts):
        if count:
            name = chr(code) if chr(code) in CODES else OTHER
            found[name] = found.get(name, 0) + count
    return found


def _sessions(server: Server) -> dict[str, float]:
    cars = apps = batch = 0
    for room in server.hub:
        cars += room.car is not None
        apps += room.apps
        batch += room.batch
    return {"car": cars, "app": apps, "batch": batch}
