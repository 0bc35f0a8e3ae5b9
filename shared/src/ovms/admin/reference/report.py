"""What an import has taken, and what it has left out and why."""

from collections import Counter
from typing import Final

KINDS: Final = ("owners", "vehicles", "messages", "history", "tokens", "subscriptions", "configurations")
_EXAMPLES: Final = 5


class Report:
    """Counts by kind and reason, with the first few that each reason is true of; none of them is a secret."""

    def __init__(self) -> None:
        self._new: Counter[str] = Counter()
        self._known: Counter[str] = Counter()
        self._left: Counter[tuple[str, str]] = Counter()
        self._noted: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], dict[str, None]] = {}
        self._remarks: list[str] = []

    def take(self, kind: str, *, new: int, known: int = 0) -> None:
        """So many were not here yet, and so many were."""
        self._new[kind] += new
        self._known[kind] += known

    def leave(self, kind: str, reason: str, which: str) -> None:
        """One has no place here."""
        self._left[kind, reason] += 1
        self._remember(kind, reason, which)

    def leave_unseen(self, kind: str, reason: str, count: int) -> None:
        """So many have no place here, and were not even read."""
        if count > 0:
            self._left[kind, reason] += count

    def note(self, kind: str, remark: str, which: str) -> None:
        """One was taken, but somebody has to do something about it."""
        self._noted[kind, remark] += 1
        self._remember(kind, remark, which)

    def remark(self, remark: str) -> None:
        """Say something about all of it."""
        self._remarks.append(remark)

    def lines(self) -> list[str]:
        """The report."""
        return [
            *(self._line(kind) for kind in KINDS),
            *self._list("left out", self._left),
            *self._list("to do", self._noted),
            *self._remarks,
        ]

    def _line(self, kind: str) -> str:
        left = sum(count for (of, _), count in self._left.items() if of == kind)
        return f"{kind}: {self._new[kind]} taken, {self._known[kind]} here already, {left} left out"

    def _list(self, title: str, counts: Counter[tuple[str, str]]) -> list[str]:
        return [
            f"{title}: {count} of {kind}, {reason}{self._shown(kind, reason)}"
            for kind in KINDS
            for (of, reason), count in counts.items()
            if of == kind
        ]

    def _shown(self, kind: str, reason: str) -> str:
        if not (examples := self._examples.get((kind, reason))):
            return ""
        more = ", …" if len(examples) > _EXAMPLES else ""
        return f" ({', '.join(list(examples)[:_EXAMPLES])}{more})"

    def _remember(self, kind: str, reason: str, which: str) -> None:
        examples = self._examples.setdefault((kind, reason), {})
        if len(examples) <= _EXAMPLES:
            examples[which] = None
