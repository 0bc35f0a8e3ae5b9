"""The state synchronization protocol holds in every interleaving within small bounds, and not with a part left out.

`python -m model.sync` explores larger ones.
"""

import pytest

from model.sync import VARIANTS, Bounds, Model, explore

BROKEN = {"filter": "monotonic", "unwritten": "prefix", "order": "prefix", "dense": "prefix", "checks": "converged"}


@pytest.mark.parametrize("local", [False, True], ids=["watcher elsewhere", "watcher where the car may connect"])
def test_the_invariants_hold_in_every_interleaving(local: bool) -> None:
    result = explore(Model(local=local), Bounds(messages=2, faults=1))
    assert not result.broken, "\n".join((result.broken, *result.trace))
    assert result.is_whole
    assert result.states > 15_000
    assert result.quiet > 100


@pytest.mark.parametrize("part", VARIANTS)
def test_without_any_part_an_invariant_breaks(part: str) -> None:
    result = explore(VARIANTS[part](), Bounds(messages=2, faults=1))
    assert result.broken.startswith(BROKEN[part])
