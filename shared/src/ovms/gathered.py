"""Small questions that are asked in the same turn of the loop, answered in one round trip.

A request needs one small answer of Redis or PostgreSQL, and what that costs is the way there and back, not the answer: under
load many requests share one way. Equal questions are asked once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
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
        self._asked: dict[Question, list[asyncio.Future[Answer]]] = {}
        self._fetching: set[asyncio.Task[None]] = set()

    async def ask(self, question: Question) -> Answer:
        """Return the answer to one question; raise what `fetch` raises."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            task = loop.create_task(self._answer())
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)
        # A future for each caller: one that is cancelled takes the answer from no other.
        answer: asyncio.Future[Answer] = loop.create_future()
        self._asked.setdefault(question, []).append(answer)
        return await answer

    async def _answer(self) -> None:
        asked, self._asked = self._asked, {}
        try:
            values = await self._fetch(list(asked))
        except BaseException as error:
            for answer in _waiting(asked.values()):
                answer.set_exception(error)
                answer.exception()  # retrieved: its caller may be cancelled before it runs again
            if not isinstance(error, Exception):
                raise
            return
        for answers, value in zip(asked.values(), values, strict=True):
            for answer in _waiting([answers]):
                answer.set_result(value)


def _waiting(answers: Iterable[Sequence[asyncio.Future[Answer]]]) -> Iterator[asyncio.Future[Answer]]:
    return (answer for of_one in answers for answer in of_one if not answer.done())
