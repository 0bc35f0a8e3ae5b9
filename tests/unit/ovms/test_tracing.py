"""Spans, and that nothing of them is loaded where nobody wants any."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from fakes.traces import KeptTraces, ids, is_child
from ovms import tracing
from ovms.telemetry import open_traces
from ovms.tracing import Traces


@pytest.fixture
def traces() -> Iterator[KeptTraces]:
    traces = KeptTraces()
    yield traces
    traces.close()


@pytest.mark.parametrize(
    ("ratio", "drawn", "is_traced"), [(0.0, 0.0, False), (0.5, 0.49, True), (0.5, 0.5, False), (1.0, 0.99, True)]
)
def test_the_ratio_says_how_much_is_traced(ratio: float, drawn: float, is_traced: bool) -> None:
    traces = KeptTraces(ratio, drawn=drawn)
    assert traces.draws() is is_traced
    traces.close()


def test_a_parent_may_be_elsewhere(traces: KeptTraces) -> None:
    first = traces.begin("first", "PRODUCER", {})
    text = traces.parent_text(first)
    second = traces.begin("second", "CONSUMER", {"ovms.code": "S"}, traces.parent(text))
    traces.end(second, failed=True)
    traces.end(first)
    ended = traces.ended()
    assert is_child(ended["second"], ended["first"])
    assert text.startswith("00-{:032x}-{:016x}-".format(*ids(ended["first"])))
    assert not ended["second"].status.is_ok
    assert ended["second"].attributes == {"ovms.code": "S"}
    assert ended["second"].resource.attributes["service.name"] == "test"


@pytest.mark.parametrize("text", ["", "00-nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_what_is_no_parent_begins_a_trace(traces: KeptTraces, text: str) -> None:
    traces.end(traces.begin("root", "CONSUMER", {}, traces.parent(text)))
    assert traces.ended()["root"].parent is None


class Hanging(SpanExporter):
    """A collector that does not answer."""

    def __init__(self) -> None:
        self.answers = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.answers.wait(10)
        return SpanExportResult.FAILURE


def test_a_collector_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "CLOSE_WITHIN", 0.1)
    collector = Hanging()
    traces = Traces("test", "9.9", 1.0, collector)
    traces.end(traces.begin("span", "SERVER", {}))
    began = time.monotonic()
    traces.close()
    assert time.monotonic() - began < 5
    collector.answers.set()


def test_without_a_collector_there_are_none() -> None:
    assert open_traces("test", "9.9", "", 1.0) is None


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_services_do_not_load_it_by_themselves() -> None:
    load = "import sys, car_protocol.bootstrap, api_gateway.app"
    # redis-py loads what OpenTelemetry it finds, for its own metrics, which nobody has switched on.
    ours = "{'ovms.tracing', 'opentelemetry.exporter', 'opentelemetry.sdk.trace'}"
    assert run(f"{load}; print({ours} & sys.modules.keys())") == "set()\n"


def test_where_it_is_not_installed_they_say_so() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
from ovms.telemetry import TracesUnavailable, open_traces
try:
    open_traces("test", "9.9", "http://127.0.0.1:4318", 1.0)
except TracesUnavailable as error:
    print(error)
"""
    assert "install requirements/traces.txt" in run(program)
