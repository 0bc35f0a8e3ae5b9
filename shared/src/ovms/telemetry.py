"""Whether there are traces; who wants none neither needs OpenTelemetry's packages nor loads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovms.errors import OvmsError

if TYPE_CHECKING:
    from ovms.tracing import Traces


class TracesUnavailable(OvmsError):
    """Traces are asked for, and what makes them is not installed."""

    def __str__(self) -> str:
        return "OVMS_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: install requirements/traces.txt"


def open_traces(service: str, version: str, endpoint: str, ratio: float) -> Traces | None:
    """The traces of a service, sent to a collector until they are closed; None where no collector is named.

    Args:
        endpoint: its address for OTLP over HTTP, without the path.
        ratio: of what is begun here, how much is traced: from 0 to 1.

    Raises:
        TracesUnavailable: the packages are not installed.
    """
    if not endpoint:
        return None
    try:
        from ovms.tracing import Traces, exporter  # noqa: PLC0415 (only here: it needs an extra)
    except ImportError:
        raise TracesUnavailable from None
    return Traces(service, version, ratio, exporter(endpoint))
