"""A PostgreSQL that answers and cannot write: what reads goes on, what writes is answered 503, whichever API it belongs to."""

from datetime import UTC, datetime, timedelta

import pytest

from fixtures.gateway import Gateway
from fixtures.outages import FAULTS, unwritable
from fixtures.typed import DEMO

SOON = (datetime.now(UTC) + timedelta(days=1)).isoformat()
READS = [
    "/api/vehicles",
    "/api/status/DEMO",
    "/api/token",
    "/api/historical/DEMO",
    "/api/v1/account",
    "/api/v1/vehicles/DEMO/state",
    "/api/v1/vehicles/DEMO/commands",
]
WRITES = [
    ("POST", "/api/token", None),
    ("PUT", "/api/v1/account/password", {"current": "secret", "new": "correct horse"}),
    ("POST", "/api/v1/account/tokens", {"scopes": ["read"]}),
    ("POST", "/api/v1/vehicles", {"id": "NEW", "password": "eight or more"}),
    ("DELETE", "/api/v1/vehicles/Second", None),
    ("PUT", "/api/v1/vehicles/DEMO/shares/other", {"scopes": ["read"]}),
    ("POST", "/api/v1/vehicles/DEMO/links", {"expires_at": SOON}),
    ("POST", "/api/v1/vehicles/DEMO/commands", {"kind": "lock", "queue": True}),
    ("DELETE", "/api/v1/account", {"password": "secret"}),
]


@pytest.mark.parametrize("fault", FAULTS)
async def test_writes_are_answered_503_and_reads_go_on(gateway: Gateway, fault: str) -> None:
    async with gateway.client(auth=DEMO, timeout=30) as client:
        async with unwritable(gateway.pool, fault):
            for path in READS:
                assert (await client.get(path)).status_code == 200, path
            for method, path, body in WRITES:
                answer = await client.request(method, path, json=body)
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True), (path, answer.text)
                if "/v1/" in path:
                    assert answer.json()["type"] == "/api/v1/problems/service-unavailable"
                else:
                    assert answer.text == "Service unavailable\n"
        assert (await client.post("/api/v1/account/tokens", json={"scopes": ["read"]})).status_code == 201
    logged = gateway.log.getvalue()
    assert b"Traceback" not in logged
    assert b'"status":500' not in logged
