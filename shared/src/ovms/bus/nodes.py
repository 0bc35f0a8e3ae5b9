"""The servers that hold keys: one, or the nodes of a Redis Cluster, each of which has some of the slots.

That it is a cluster is learnt from the first node that says that a key is elsewhere. Pub/sub needs none of this: a cluster
hands what is published at one node on to all others.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import redis.asyncio
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterCrossSlotError, ClusterDownError, MovedError, TryAgainError
from redis.exceptions import ConnectionError as LostConnection

from ovms.bus.client import followed, open_node
from ovms.bus.errors import UNAVAILABLE

Answer = TypeVar("Answer")
Client = redis.asyncio.Redis

_REDIRECTIONS: Final = 5
"""How often something is done again because a key is elsewhere; each time at least one key more is found."""
_LOOK_WITHIN: Final = 1.0
"""Seconds for one node to tell who has which slots, before the next is asked: it may hang."""
_NOT_NOW: Final = (ClusterDownError, TryAgainError)


class Nodes:
    """Finds the node of a key.

    Args:
        home: the client of the address that we are told.
    """

    def __init__(self, home: Client) -> None:
        self.home = home
        self._others: dict[tuple[str, int], Client] = {}
        self._slots: dict[int, Client] = {}
        self._is_stale = False

    @property
    def is_cluster(self) -> bool:
        """Whether there are several, as far as is known; who asks one of them for keys of several slots finds out."""
        return bool(self._slots)

    async def at(self, key: str, ask: Callable[[Client], Awaitable[Answer]]) -> Answer:
        """What the node that has a key answers."""
        return await self._again_where_moved(lambda: ask(self._of(key)))

    async def each(
        self, keys: Sequence[str], ask: Callable[[Client, Sequence[int]], Awaitable[Sequence[Answer]]]
    ) -> list[Answer]:
        """One answer a key, in their order; `ask` is given a node, and the indices of the keys that it has."""
        return await self._again_where_moved(lambda: self._ask_each(keys, ask))

    async def primaries(self) -> frozenset[tuple[str, int]]:
        """Who has keys: where they are others than before, what was written before may be lost, if only the last of it.

        Of a server whose address always is the same there are none.
        """
        if self._slots:
            await self._look()
        return frozenset((*self._others, *followed(self.home)))

    async def aclose(self) -> None:
        """Close the connections, but those of `home`."""
        await asyncio.gather(*(client.aclose() for client in self._others.values()))

    # ---- where keys are

    def _of(self, key: str) -> Client:
        return self._slots.get(key_slot(key.encode()), self.home) if self._slots else self.home

    async def _ask_each(
        self, keys: Sequence[str], ask: Callable[[Client, Sequence[int]], Awaitable[Sequence[Answer]]]
    ) -> list[Answer]:
        if not self._slots:
            return list(await ask(self.home, range(len(keys))))
        indices: dict[Client, list[int]] = defaultdict(list)
        for index, key in enumerate(keys):
            indices[self._of(key)].append(index)
        answers: dict[int, Answer] = {}
        answered = await asyncio.gather(*map(ask, indices.keys(), indices.values()))
        for there, answers_there in zip(indices.values(), answered, strict=True):
            answers |= zip(there, answers_there, strict=True)
        return [answers[index] for index in range(len(keys))]

    async def _again_where_moved(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do something at nodes, and all of it again where one of them has a key no more."""
        if self._is_stale:
            await self._look()
        for _ in range(_REDIRECTIONS):
            try:
                return await work()
            except MovedError as moved:
                await self._follow(moved)
            except ClusterCrossSlotError:
                await self._look()
            except AskError:
                break
            except _NOT_NOW as error:
                self._is_stale = True
                raise LostConnection(str(error)) from error
            except (*UNAVAILABLE, asyncio.CancelledError):
                # Another may have taken the place of the node; who waited no longer may have waited for one that hangs.
                self._is_stale = bool(self._slots)
                raise
        self._is_stale = True
        raise LostConnection("a slot of the cluster is on its way to another node")

    async def _follow(self, moved: MovedError) -> None:
        """Look anew; of this slot, its former node knows best: news reaches the others by gossip, in any order."""
        await self._look()
        if moved.host:
            self._slots[moved.slot_id] = self._client(moved.host, moved.port)

    async def _look(self) -> None:
        """Ask who has which slots."""
        for client in (self.home, *self._others.values()):
            try:
                async with asyncio.timeout(_LOOK_WITHIN):
                    ranges: Any = await client.execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]
            except UNAVAILABLE as error:
                lost = error
            else:
                self._slots, self._is_stale = self._read_slots(ranges), False
                await self._forget_others()
                return
        raise lost

    async def _forget_others(self) -> None:
        """Nodes come back under new addresses, where they are containers: those that have no slot are seen no more."""
        used = set(self._slots.values())
        gone = [address for address, client in self._others.items() if client not in used]
        await asyncio.gather(*(self._others.pop(address).aclose() for address in gone))

    def _read_slots(self, ranges: Sequence[Any]) -> dict[int, Client]:
        """Of lists of the first and the last slot, and of the node that has them, before its replicas."""
        slots: dict[int, Client] = {}
        for first, last, (host, port, *_), *_ in ranges:
            slots |= dict.fromkeys(range(first, last + 1), self._client(host.decode(), port))
        return slots

    def _client(self, host: str, port: int) -> Client:
        if not host:  # a node that does not know its own address
            return self.home
        address = host, port
        if address not in self._others:
            self._others[address] = open_node(self.home, host, port)
        return self._others[address]
