"""What is counted of requests, and the port that tells it."""

import urllib.request

from api_gateway.metrics import Metrics, serve_metrics
from fixtures.replicas import HOST, service_port


def counted(metrics: Metrics, method: str, route: str, status: str) -> float | None:
    labels = {"method": method, "route": route, "status": status}
    return metrics.registry.get_sample_value("ovms_http_request_duration_seconds_count", labels)


def test_requests_are_counted_by_method_route_and_status() -> None:
    metrics = Metrics("9.9")
    for _ in range(2):
        metrics.count("PATCH", "/api/v1/account", 200, 0.01)
    metrics.count("BREW", "-", 404, 0.01)
    assert counted(metrics, "PATCH", "/api/v1/account", "200") == 2
    assert counted(metrics, "other", "-", "404") == 1
    assert metrics.registry.get_sample_value("ovms_build_info", {"version": "9.9"}) == 1


def test_the_port_tells_them_until_its_end() -> None:
    port = service_port()
    end = serve_metrics(Metrics("9.9"), HOST, port)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://{HOST}:{port}/metrics", timeout=5.0) as answer:
        assert b"ovms_build_info" in answer.read()
    end()
