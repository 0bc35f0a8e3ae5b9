"""Bounds what one address can ask of us before it has logged in.

Cars share addresses (carrier-grade NAT), so a car must never be closed for what others do: connections beyond the bound are
not read until earlier ones have logged in or gone. What they have sent waits in the kernel.
"""

from collections import deque
from typing import Protocol


class Waiting(Protocol):
    """A connection that may have to wait."""

    def admit(self) -> None:
        """It may be read now."""


class Gate:
    """Counts the connections of an address that have not logged in.

    Args:
        limit: how many of one address may be read at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside: dict[str, int] = {}
        self._waiting: dict[str, deque[Waiting]] = {}

    @property
    def inside(self) -> int:
        """Connections that are logging in."""
        return sum(self._inside.values())

    def enter(self, address: str, connection: Waiting) -> bool:
        """Whether a new connection may be read now; otherwise `admit` is called when it may."""
        if self._inside.get(address, 0) < self._limit:
            self._inside[address] = self._inside.get(address, 0) + 1
            return True
        self._waiting.setdefault(address, deque()).append(connection)
        return False

    def leave(self, address: str) -> None:
        """One that was inside has logged in or gone; the next may come in."""
        waiting = self._waiting.get(address)
        if waiting:
            following = waiting.popleft()
            if not waiting:
                del self._waiting[address]
            following.admit()
            return
        self._inside[address] -= 1
        if not self._inside[address]:
            del self._inside[address]

    def give_up(self, address: str, connection: Waiting) -> None:
        """One that was waiting has gone."""
        waiting = self._waiting.get(address)
        if waiting and connection in waiting:
            waiting.remove(connection)
            if not waiting:
                del self._waiting[address]
