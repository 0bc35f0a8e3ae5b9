"""The fields that answers carry whatever they answer."""

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from api_gateway.edge.fields import AnswerFields, Field

OWN: Field = (b"content-type", b"text/plain")
LATE: Field = (b"x-late", b"1")


def count(_: Scope, headers: Any) -> list[Field]:
    return [(b"x-count", b"%d" % len(headers))]


async def sent_of(*messages: Message) -> list[Message]:
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async def send(message: Message) -> None:
        sent.append(message)

    await AnswerFields(app, count, lambda _scope, _: [LATE], count)({"type": "http"}, None, send)  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("kind", ["http.response.start", "websocket.http.response.start"])
async def test_each_source_is_asked_in_turn_and_sees_what_is_there(kind: str) -> None:
    headers = [OWN]
    sent = await sent_of({"type": kind, "headers": headers}, {"type": "http.response.body", "body": b"x"})
    assert sent[0]["headers"] == [OWN, (b"x-count", b"1"), LATE, (b"x-count", b"3")]
    assert sent[1] == {"type": "http.response.body", "body": b"x"}
    assert headers == [OWN]  # those of an answer that is kept and sent again


async def test_an_answer_without_any_gets_them_and_what_begins_no_answer_does_not() -> None:
    sent = await sent_of({"type": "websocket.http.response.start", "status": 401}, {"type": "websocket.accept"})
    assert sent[0]["headers"][1] == LATE
    assert sent[1] == {"type": "websocket.accept"}
