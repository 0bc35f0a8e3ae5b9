"""What services measure of themselves: plain numbers, made into Prometheus metrics when somebody scrapes.

A metric object of the client library costs more than a message does, so there is none on its way. Declared are all metrics of a
service in one module of it, with names after Prometheus' conventions: base units, `_total`, no label that a peer can make grow.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from ovms.db.engine import Pool

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
ROWS: Final = (1, 5, 25, 100, 500, 1000, 2500, 5000)
LAG_EVERY: Final = 0.25
"""Seconds from one look at the loop to the next."""


class Histogram:
    """Counts of values by size.

    Args:
        bounds: the largest value of each bucket but the last, which has none.
    """

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def buckets(self) -> list[tuple[str, float]]:
        """Each bucket's bound, and how many values were no larger."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        return [(bound, float(count)) for bound, count in zip(bounds, accumulate(self._counts), strict=True)]


class LoopLag:
    """How late the event loop is: what it does next waits for so long."""

    def __init__(self) -> None:
        self.seconds = Histogram()

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self.seconds.observe(max(0.0, loop.time() - due))


# ---- at a scrape


def make_registry(*collectors: Collector) -> CollectorRegistry:
    """A registry of its own: some collectors, and what the process takes of the machine."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    return registry


def gauge(name: str, text: str, value: float) -> Metric:
    """A gauge."""
    return GaugeMetricFamily(name, text, value)


def gauges(name: str, text: str, labels: Sequence[str], values: Mapping[Any, float]) -> Metric:
    """A gauge by labels; a key is a label's value, or several in a tuple."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in values.items():
        family.add_metric(_values(key), value)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    """A counter; its name gets `_total`."""
    return CounterMetricFamily(name, text, value)


def counters(name: str, text: str, labels: Sequence[str], values: Mapping[Any, float]) -> Metric:
    """A counter by labels."""
    family = CounterMetricFamily(name, text, labels=labels)
    # A copy, made at once: a scrape may come from another thread.
    for key, value in list(values.items()):
        family.add_metric(_values(key), value)
    return family


def histograms(name: str, text: str, labels: Sequence[str], values: Mapping[Any, Histogram]) -> Metric:
    """A histogram, by labels if there are some."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for key, value in list(values.items()):
        family.add_metric(_values(key), value.buckets(), value.sum)
    return family


def one_of(name: str, text: str, label: str, states: Iterable[str], now: str) -> Metric:
    """A gauge of which the present state is 1."""
    return gauges(name, text, [label], {state: float(state == now) for state in states})


def of_build(version: str) -> Metric:
    """What runs."""
    return gauges("ovms_build_info", "The version that runs", ["version"], {version: 1.0})


def of_loop(lag: LoopLag) -> Metric:
    """How late the event loop is."""
    return histograms("ovms_loop_lag_seconds", "How late the event loop is, four times a second", [], {(): lag.seconds})


def of_stages(stages: Mapping[str, Histogram]) -> Metric:
    """How long what services do with a message takes."""
    return histograms("ovms_stage_seconds", "How long each stage takes, a batch's longest or one of it", ["stage"], stages)


def of_pools(pools: Mapping[str, Pool]) -> Metric:
    """Connections to PostgreSQL."""
    values: dict[tuple[str, str], float] = {}
    for name, pool in pools.items():
        values[name, "idle"] = pool.get_idle_size()
        values[name, "busy"] = pool.get_size() - pool.get_idle_size()
    return gauges("ovms_database_connections", "Connections to PostgreSQL", ["pool", "state"], values)


def _values(key: Any) -> Sequence[str]:
    return key if isinstance(key, tuple) else (key,)
