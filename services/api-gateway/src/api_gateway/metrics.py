"""Every metric of this service, and the port that tells them, which is not meant for the public."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from api_gateway.commands.states import CommandState
from api_gateway.live.events import COMMAND, MISSED, NOTIFICATION, PRESENCE, STATE
from api_gateway.resources import Resources
from ovms.metrics import (
    Histogram,
    counters,
    gauge,
    histograms,
    make_registry,
    of_build,
    of_loop,
    of_pools,
    of_stages,
    one_of,
)

REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
STATES: Final = ("serving", "draining")

# Told from the beginning: what appears with its first count cannot be seen to grow by it.
_COMMANDS: Final = {str(state): 0 for state in CommandState}
_EVENTS: Final = dict.fromkeys((STATE, PRESENCE, NOTIFICATION, COMMAND, MISSED), 0)

# A method that no call has must not become a label of its own.
_METHODS: Final = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"})


class Metrics(Collector):
    """What is counted of the requests, and what the parts of the service count, once there are some.

    Args:
        version: that of the service.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._seconds: dict[tuple[str, str, str], Histogram] = {}
        self._resources: Resources | None = None
        self.registry = make_registry(self)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request, by the template of its route."""
        key = (method if method in _METHODS else "other", route, str(status))
        seconds_of = self._seconds.get(key)
        if seconds_of is None:
            seconds_of = self._seconds[key] = Histogram(REQUEST_SECONDS)
        seconds_of.observe(seconds)

    def watch(self, resources: Resources) -> None:
        """Tell of these parts too."""
        self._resources = resources

    def collect(self) -> Iterable[Metric]:
        """All metrics, at a scrape, which comes from a thread of its own: so it is answered also while the loop is not."""
        yield of_build(self._version)
        text = "Time from a request to the head of its answer"
        labels = ["method", "route", "status"]
        yield histograms("ovms_http_request_duration_seconds", text, labels, self._seconds)
        if self._resources is not None:
            yield from _of_parts(self._resources)


def _of_parts(resources: Resources) -> Iterable[Metric]:
    streams, hub, dispatcher = resources.streams, resources.hub, resources.dispatcher
    yield one_of("ovms_replica_state", "What the replica does now", "state", STATES, STATES[streams.is_draining])
    yield of_loop(resources.lag)
    yield of_pools({"calls": resources.pool})
    yield gauge("ovms_event_streams", "Open streams of events", streams.count)
    yield gauge("ovms_event_streams_limit", "Streams of events that may be open", streams.most)
    yield gauge("ovms_vehicles_watched", "Vehicles that somebody watches here", hub.vehicles)
    yield counters("ovms_events_told", "Events told to readers, by kind", ["kind"], _EVENTS | hub.tally.events)
    yield of_stages({"told": hub.tally.seconds})
    text = "Commands to cars that came to a state by this replica"
    yield counters("ovms_commands", text, ["state"], _COMMANDS | resources.command_changes.counts)
    waiting = "Vehicles for which commands wait, at whichever replica"
    yield gauge("ovms_vehicles_with_commands_waiting", waiting, dispatcher.vehicles_waiting)


def serve_metrics(metrics: Metrics, host: str, port: int) -> Callable[[], None]:
    """Answer `/metrics` from a thread of its own; returns what ends it.

    Raises:
        OSError: the address cannot be had.
    """
    server, thread = start_http_server(port, host, registry=metrics.registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
