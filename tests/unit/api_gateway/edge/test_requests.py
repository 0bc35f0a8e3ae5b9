"""What fails behind the edge does not get through it."""

import asyncio
import io
import json
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from api_gateway.edge.deadlines import allow_any_time
from api_gateway.edge.requests import Requests
from api_gateway.metrics import Metrics
from ovms.logs import make_log
from ovms.redaction import Redactor

SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/x", "query_string": b"password=hush", "headers": []}


def make(stream: io.BytesIO) -> Any:
    return make_log("api-gateway", "info", Redactor(None), stream)


async def nothing() -> Message:
    return {"type": "http.disconnect"}


async def answers(app: Any, metrics: Metrics | None = None, **options: float) -> tuple[list[Message], list[dict[str, Any]]]:
    sent: list[Message] = []
    log = io.BytesIO()

    async def send(message: Message) -> None:
        sent.append(message)

    await Requests(app, make(log), metrics, **options)(dict(SCOPE), nothing, send)
    return sent, [json.loads(line) for line in log.getvalue().splitlines()]


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("a fault")


async def test_a_fault_is_logged_and_not_shown() -> None:
    sent, lines = await answers(broken)
    assert sent[0]["status"] == 500
    assert sent[1]["body"] == b"Internal server error\n"
    assert [line["event"] for line in lines] == ["request failed", "request"]
    assert "a fault" in lines[0]["exception"]
    assert "hush" not in str(lines)
    [given] = [value for name, value in sent[0]["headers"] if name == b"x-request-id"]
    assert [line["request_id"] for line in lines] == [given.decode()] * 2


async def test_a_fault_behind_the_head_of_an_answer_adds_nothing_to_it() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    sent, lines = await answers(half)
    assert len(sent) == 1
    assert lines[-1]["status"] == 200


async def test_a_call_that_takes_too_long_is_ended() -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    sent, _ = await answers(endless, deadline=0)
    assert sent[0]["status"] == 503


async def test_strange_methods_are_counted_together() -> None:
    metrics = Metrics("9.9")
    await answers(broken, metrics)
    metrics.count("FOO", "/x", 404, 0.1)
    labels = {"method": "other", "route": "/x", "status": "404"}
    assert metrics.registry.get_sample_value("ovms_http_request_duration_seconds_count", labels) == 1


async def test_a_call_may_last_as_long_as_it_likes() -> None:
    async def long(scope: Scope, receive: Receive, send: Send) -> None:
        allow_any_time(scope)
        await asyncio.sleep(0.02)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    sent, _ = await answers(long, deadline=0.01)
    assert sent[0]["status"] == 200


async def test_a_fault_of_a_websocket_is_logged_and_closes_it() -> None:
    sent: list[Message] = []
    log = io.BytesIO()

    async def send(message: Message) -> None:
        sent.append(message)

    async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        raise RuntimeError("a fault")

    await Requests(faulty, make(log), None)({"type": "websocket", "path": "/x", "headers": []}, nothing, send)
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert sent[1]["code"] == 1011
    assert [name for name, _ in sent[0]["headers"]] == [b"x-request-id"]
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["event"], line.get("status")) for line in lines] == [("request failed", None), ("request", 101)]
