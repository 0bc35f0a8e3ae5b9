"""How long things took, in few figures."""

from collections.abc import Sequence
from statistics import quantiles


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Within which so many of a hundred came, and the last of all."""
    cuts = quantiles((each * 1e3 for each in seconds), n=1000, method="inclusive")
    return {"p50": cuts[499], "p90": cuts[899], "p99": cuts[989], "p99.9": cuts[998], "latest": max(seconds) * 1e3}
