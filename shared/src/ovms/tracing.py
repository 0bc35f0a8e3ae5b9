"""OpenTelemetry: spans, and the collector that they go to. Loaded by `telemetry` alone, where somebody wants traces.

What is traced is drawn before anything is made for it: a span that is not sampled would cost as much as a message. Spans carry
no vehicle, and nothing that a car or a caller has sent but codes of messages and methods.
"""

import random
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Final, Literal, TypeAlias

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PATH: Final = "/v1/traces"
EXPORT_WITHIN: Final = 2.0
CLOSE_WITHIN: Final = 3.0
"""Seconds: a collector that is away must not hold up the end of a process."""
_HEADER: Final = "traceparent"

Kind: TypeAlias = Literal["SERVER", "PRODUCER", "CONSUMER"]


def exporter(endpoint: str) -> SpanExporter:
    """Sends spans to a collector, with the headers that OTEL_EXPORTER_OTLP_HEADERS names."""
    return OTLPSpanExporter(endpoint.rstrip("/") + PATH, timeout=EXPORT_WITHIN)


class Traces:
    """The traces of one service, sent from a thread of its own.

    Args:
        ratio: of what is begun here, how much is traced.
        draw: a random number from 0 to 1.
    """

    def __init__(
        self, service: str, version: str, ratio: float, to: SpanExporter, *, draw: Callable[[], float] = random.random
    ) -> None:
        self._ratio = ratio
        self._draw = draw
        resource = Resource.create({"service.name": service, "service.version": version})
        self._provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(to))
        self._tracer = self._provider.get_tracer(service, version)
        self._propagator = TraceContextTextMapPropagator()

    def draws(self) -> bool:
        """Whether to trace what begins now."""
        return self._draw() < self._ratio

    def begin(self, name: str, kind: Kind, attributes: Mapping[str, str | int], parent: Span | Context | None = None) -> Span:
        """A span that has begun; without a parent it begins a trace."""
        context = set_span_in_context(parent, Context()) if isinstance(parent, Span) else parent or Context()
        return self._tracer.start_span(name, context, SpanKind[kind], attributes)

    def end(self, span: Span, *, failed: bool = False) -> None:
        """It has ended now, and may not have done what it was for."""
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end()

    def parent_text(self, span: Span) -> str:
        """A span as a parent elsewhere: `traceparent` of W3C Trace Context."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span, Context()))
        return carrier[_HEADER]

    def parent(self, text: str) -> Context:
        """A parent elsewhere; what is none begins a trace."""
        return self._propagator.extract({_HEADER: text}, Context())

    def close(self) -> None:
        """Send what has ended, if that can be done soon."""
        closing = Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_WITHIN)
