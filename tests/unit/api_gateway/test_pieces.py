"""Answers in pieces: what fails first is told, what fails later cuts the answer off, and nobody is sent what nobody reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from starlette.requests import Request

from api_gateway.downloads import MOST, Downloads
from api_gateway.edge.deadlines import deadline
from api_gateway.pieces import LONGER, Slot, in_pieces


class Caller:
    """Who hears an answer, and may leave."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.has_left = asyncio.Event()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.heard)

    @property
    def is_whole(self) -> bool:
        return not self.heard[-1].get("more_body", True)

    async def send(self, message: Any) -> None:
        self.heard.append(message)
        await asyncio.sleep(0)

    async def receive(self) -> Any:
        await self.has_left.wait()
        return {"type": "http.disconnect"}


async def answer(pieces: AsyncIterator[bytes], caller: Caller, slot: Slot = nullcontext) -> float:
    """Send an answer; returns how many seconds more than others it may take."""
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    timeout = deadline(scope, 5)
    before = timeout.when()
    async with timeout:
        made = await in_pieces(Request(scope), slot, pieces, (b"content-type", b"text/plain"), (b"x", b"y"))
        await made(scope, caller.receive, caller.send)
    after = timeout.when()
    assert before is not None
    assert after is not None
    return after - before


async def test_pieces_are_sent_as_they_are_made() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"two ", b"three"):
            yield piece

    caller = Caller()
    assert await answer(pieces(), caller) == pytest.approx(LONGER)
    assert caller.heard[0]["status"] == 200
    assert {(b"content-type", b"text/plain"), (b"x", b"y")} <= set(caller.heard[0]["headers"])
    assert (caller.body, caller.is_whole) == (b"one two three", True)
    assert len(caller.heard) >= 4


async def test_what_fails_at_once_is_raised_before_anything_is_sent() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        raise OSError("away")
        yield b""

    caller = Caller()
    with pytest.raises(OSError, match="away"):
        await answer(pieces(), caller)
    assert caller.heard == []


async def test_what_fails_later_has_no_end() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise OSError("away")

    caller = Caller()
    await answer(pieces(), caller)
    assert (caller.body, caller.is_whole) == (b"one", False)


async def test_a_bug_is_no_store_that_is_away() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await answer(pieces(), Caller())


async def test_nothing_is_made_for_who_has_left() -> None:
    caller, made = Caller(), 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal made
        while True:
            made += 1
            if made == 3:
                caller.has_left.set()
            yield b"x"
            await asyncio.sleep(0)

    await answer(pieces(), caller)
    assert 3 <= made < 20


async def test_a_credential_has_few_long_answers_at_a_time() -> None:
    downloads, ends, started = Downloads(), asyncio.Event(), asyncio.Semaphore(0)

    async def long() -> AsyncIterator[bytes]:
        yield b"one"
        started.release()
        await ends.wait()

    async def short() -> AsyncIterator[bytes]:
        yield b"one"

    async def status(credential: str) -> int:
        await answer(short(), caller := Caller(), partial(downloads.opened, credential))
        return int(caller.heard[0]["status"])

    async with asyncio.TaskGroup() as group:
        for _ in range(MOST):
            group.create_task(answer(long(), Caller(), partial(downloads.opened, "one")))
        for _ in range(MOST):
            await started.acquire()
        assert (await status("one"), await status("another")) == (429, 200)
        ends.set()
    assert await status("one") == 200
