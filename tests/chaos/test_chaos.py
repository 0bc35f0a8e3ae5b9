"""The short form of `make chaos`: a seed that has something of everything, and what once found something in as short a run."""

import pytest

from chaos.fleet import Size
from chaos.regressions import regressions
from chaos.run import Setting, run

SOMETHING_OF_EVERYTHING = (71, 12.0)
"""PostgreSQL and Redis paused and killed, a replica killed, cars that go elsewhere, and all that come back at once."""
SMALL = Size(owners=3, cars_each=8, apps=12, batch=2)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("seed", "seconds"), [SOMETHING_OF_EVERYTHING, *((known.seed, known.seconds) for known in regressions() if known.is_short)]
)
def test_every_invariant_holds(seed: int, seconds: float) -> None:
    timeline: list[str] = []
    result = run(seed, Setting(seconds, size=SMALL), timeline.append)

    told = [f"seed {seed}", *timeline, str(result.figures), *map(str, result.violations[:50])]
    assert not result.violations, "\n".join(told)
    for what in (
        "let in",
        "states sent",
        "states heard",
        "states read",
        "states streamed",
        "records acknowledged",
        "commands answered",
    ):
        assert result.figures[what] > 0, f"nothing was tried: {result.figures}"
