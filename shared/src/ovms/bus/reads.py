"""Reads of one hash field that are asked for in the same turn of the loop, done in one round trip.

A request needs one small answer of Redis, and what that costs is the way there and back, not the answer: under load many
requests share one way. Equal keys are asked for once.
"""

import asyncio
from typing import Any

import redis.asyncio


class GatheredReads:
    """One field of many hashes."""

    def __init__(self, redis_client: redis.asyncio.Redis, field: str) -> None:
        self._redis: Any = redis_client
        self._field = field
        self._asked: dict[str, asyncio.Future[bytes | None]] = {}
        self._fetching: set[asyncio.Task[None]] = set()

    async def read(self, key: str) -> bytes | None:
        """The field of one hash, None where there is none; raises `redis.exceptions.RedisError` as a single read would."""
        if (answer := self._asked.get(key)) is None:
            loop = asyncio.get_running_loop()
            if not self._asked:
                task = loop.create_task(self._fetch())
                self._fetching.add(task)
                task.add_done_callback(self._fetching.discard)
            answer = self._asked[key] = loop.create_future()
        # One who stops waiting must not take the answer from the others.
        return await asyncio.shield(answer)

    async def _fetch(self) -> None:
        asked, self._asked = self._asked, {}
        try:
            values = await self._values(list(asked))
        except BaseException as error:
            for answer in asked.values():
                answer.set_exception(error)
                answer.exception()  # seen: nobody may be waiting any more
            if not isinstance(error, Exception):
                raise
            return
        for answer, value in zip(asked.values(), values, strict=True):
            answer.set_result(value)

    async def _values(self, keys: list[str]) -> list[bytes | None]:
        if len(keys) == 1:
            return [await self._redis.hget(keys[0], self._field)]
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(key, self._field)
            values: list[bytes | None] = await pipe.execute()
            return values
