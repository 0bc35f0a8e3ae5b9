"""Prometheus metrics, on a port of their own that is not meant for the public."""

from prometheus_client import CollectorRegistry, Histogram, start_http_server

# A method that no call has must not become a label of its own.
_METHODS = frozenset({"GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS"})


class Metrics:
    """What is counted of the requests."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "ovms_gateway_request_seconds",
            "Time taken to answer a request",
            ("method", "route", "status"),
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in _METHODS else "other"
        self._seconds.labels(known, route, str(status)).observe(seconds)


def serve_metrics(metrics: Metrics, host: str, port: int) -> "tuple[object, object]":
    """Answer `/metrics` from a thread of its own; returns the server and its thread."""
    return start_http_server(port, host, registry=metrics.registry)
