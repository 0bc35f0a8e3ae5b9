"""Traces that stay in memory."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ovms.tracing import Traces


class KeptTraces(Traces):
    """Keeps what has ended until it is closed."""

    def __init__(self, ratio: float = 1.0, *, drawn: float = 0.5) -> None:
        self._kept = InMemorySpanExporter()
        super().__init__("test", "9.9", ratio, self._kept, draw=lambda: drawn)

    def ended(self) -> dict[str, ReadableSpan]:
        """All spans that have ended, by name."""
        self._provider.force_flush()
        spans = {span.name: span for span in self._kept.get_finished_spans()}
        assert len(spans) == len(self._kept.get_finished_spans()), "two have one name"
        return spans


def ids(span: ReadableSpan) -> tuple[int, int]:
    """Its trace and its own id."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def is_child(span: ReadableSpan, of: ReadableSpan) -> bool:
    """Whether it is of the same trace, and begun by the other."""
    return span.parent is not None and (span.parent.trace_id, span.parent.span_id) == ids(of)
