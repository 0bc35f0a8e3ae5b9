"""Whose work the time of a loop was: the time in functions themselves, added up by library, and by part of ours."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final

LEAST: Final = 0.01
"""A share that is shown; what is less is added up."""

OURS: Final = frozenset({"api_gateway", "car_protocol", "ovms"})
_FRAME: Final = re.compile(r".* \((?P<path>[^()]+?)(?::\d+)?\)\Z")
_ELSE: Final = "what is less than that"
_LOOP: Final = "Runner.run (asyncio/runners.py"


def shares(stacks: Iterable[str]) -> dict[str, float]:
    """The share of each, the largest first.

    Args:
        stacks: as py-spy writes them raw: frames from the outermost in, semicolons between, then a blank and how often.
    """
    samples = Counter[str]()
    for stack in stacks:
        frames, _, count = stack.rpartition(" ")
        # Other threads wait most of the time. Without a known frame, the loop was caught between two of them.
        if _LOOP in frames and (owner := _owner(frames.rpartition(";")[2])):
            samples[owner] += int(count)
    total = samples.total()
    large = {owner: count / total for owner, count in samples.most_common() if count >= LEAST * total}
    return large | ({_ELSE: rest} if (rest := 1 - sum(large.values())) > 0 and total else {})


def table(stacks: Iterable[str]) -> Iterator[str]:
    """The same as lines of Markdown."""
    yield "| in | of the time |"
    yield "|---|---|"
    for owner, share in shares(stacks).items():
        yield f"| {owner} | {share:.0%} |"


def _owner(frame: str) -> str:
    if frame.startswith(_LOOP):
        return "uvloop, and the kernel behind it"
    found = _FRAME.match(frame)
    if found is None:
        return ""
    path = PurePosixPath(found["path"])
    first, *rest = path.parts
    if first in OURS:
        return f"`{first}.{rest[0].removesuffix('.py')}`" if rest else f"`{first}`"
    return first.removesuffix(".py") if rest else "the standard library"
