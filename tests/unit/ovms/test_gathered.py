"""Questions of one turn of the loop are one call."""

import asyncio
from collections.abc import Sequence

import pytest

from fixtures.waiting import until
from ovms.gathered import Gathered


class Store:
    """Answers with the double of each question, once it is allowed to."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.answers = asyncio.Event()
        self.error: Exception | None = None

    async def fetch(self, questions: Sequence[int]) -> list[int]:
        self.calls.append(list(questions))
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        return [2 * question for question in questions]


async def test_questions_of_one_turn_are_one_call_and_equal_ones_are_asked_once() -> None:
    store = Store()
    gathered = Gathered(store.fetch)
    store.answers.set()
    assert await asyncio.gather(*map(gathered.ask, (1, 2, 1))) == [2, 4, 2]
    assert await gathered.ask(1) == 2
    assert store.calls == [[1, 2], [1]]


async def test_a_cancelled_caller_takes_the_answer_from_no_other() -> None:
    store = Store()
    gathered = Gathered(store.fetch)
    callers = [asyncio.create_task(gathered.ask(1)) for _ in range(3)]
    await until(lambda: len(store.calls) == 1)
    callers[0].cancel()
    store.answers.set()
    assert await asyncio.gather(*callers[1:]) == [2, 2]
    with pytest.raises(asyncio.CancelledError):
        await callers[0]


async def test_an_error_reaches_every_caller_and_the_next_question_is_asked_again() -> None:
    store = Store()
    gathered = Gathered(store.fetch)
    store.error = OSError("unavailable")
    store.answers.set()
    assert {type(result) for result in await asyncio.gather(*map(gathered.ask, (1, 2)), return_exceptions=True)} == {OSError}
    store.error = None
    assert await gathered.ask(1) == 2
