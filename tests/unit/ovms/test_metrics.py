"""Plain numbers, and what Prometheus is told of them."""

import asyncio
from contextlib import suppress

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from fixtures.waiting import until
from ovms.metrics import SECONDS, Histogram, LoopLag, counters, histograms, make_registry, one_of


def told(*metrics: Metric) -> str:
    """What a scrape of these has, without what is of the process."""

    class Given(Collector):
        def collect(self):
            return metrics

    lines = generate_latest(make_registry(Given())).decode().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#") and line.startswith("ovms"))


def test_a_value_is_in_its_bucket_and_all_larger_ones() -> None:
    seconds = Histogram((0.1, 1.0))
    for value in (0.1, 0.5, 7.0):
        seconds.observe(value)
    assert told(histograms("ovms_x_seconds", "X", ["stage"], {"a": seconds})) == (
        'ovms_x_seconds_bucket{le="0.1",stage="a"} 1.0\n'
        'ovms_x_seconds_bucket{le="1.0",stage="a"} 2.0\n'
        'ovms_x_seconds_bucket{le="+Inf",stage="a"} 3.0\n'
        'ovms_x_seconds_count{stage="a"} 3.0\n'
        'ovms_x_seconds_sum{stage="a"} 7.6'
    )
    assert (seconds.count, seconds.sum) == (3, 7.6)


def test_labels_are_one_or_several() -> None:
    assert told(counters("ovms_x", "X", ["a"], {"one": 1})) == 'ovms_x_total{a="one"} 1.0'
    assert told(counters("ovms_x", "X", ["a", "b"], {("one", "two"): 1})) == 'ovms_x_total{a="one",b="two"} 1.0'


def test_one_state_is_told_of_all() -> None:
    assert told(one_of("ovms_x", "X", "state", ("on", "off"), "off")) == 'ovms_x{state="on"} 0.0\novms_x{state="off"} 1.0'


async def test_a_loop_that_is_held_up_is_late() -> None:
    lag, loop = LoopLag(), asyncio.get_running_loop()
    running = asyncio.create_task(lag.run())
    await until(lambda: lag.seconds.count)
    before = lag.seconds.sum
    held_until = loop.time() + 0.4
    while loop.time() < held_until:
        pass
    await until(lambda: lag.seconds.sum > before + 0.1)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def test_the_largest_bounds_are_those_of_timeouts() -> None:
    assert list(SECONDS) == sorted(SECONDS)
