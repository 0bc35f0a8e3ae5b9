"""Small questions that are asked in the same turn of the loop, answered in one round trip.

A request needs one small answer of Redis or PostgreSQL, and what that costs is the way there and back, not the answer: under
load many requests share one way. Equal questions are asked once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Gathered(Generic[Question, Answer]):
    """Asks many questions at once.

    Args:
        fetch: returns the answers in the order of the questions.
    """

    def __init__(self, fetch: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._fetch = fetch
        self._asked: dict[Question, asyncio.Future[Answer]] = {}
        self._fetching: set[asyncio.Task[None]] = set()

    async def ask(self, question: Question) -> Answer:
        """The answer to one question; raises what `fetch` raises."""
        if (answer := self._asked.get(question)) is None:
            loop = asyncio.get_running_loop()
            if not self._asked:
                task = loop.create_task(self._answer())
                self._fetching.add(task)
                task.add_done_callback(self._fetching.discard)
            answer = self._asked[question] = loop.create_future()
        # One who stops waiting must not take the answer from the others.
        return await asyncio.shield(answer)

    async def _answer(self) -> None:
        asked, self._asked = self._asked, {}
        try:
            values = await self._fetch(list(asked))
        except BaseException as error:
            for answer in asked.values():
                answer.set_exception(error)
                answer.exception()  # seen: nobody may be waiting any more
            if not isinstance(error, Exception):
                raise
            return
        for answer, value in zip(asked.values(), values, strict=True):
            answer.set_result(value)
