"""What the fuzzer starts from, and what it once found, through the same targets: everywhere, also where atheris is not."""

import pytest

from fuzz.seeds import seeds
from fuzz.targets import WEIGHTS, load


@pytest.mark.parametrize("name", WEIGHTS)
def test_nothing_is_wrong_with_the_seeds(name: str) -> None:
    target = load(name)
    for seed in seeds(name):
        target(seed)
        target(seed[: len(seed) // 2])
        target(seed[len(seed) // 2 :])
