"""Plans of faults."""

import pytest

from chaos.plan import FLEET, KINDS, Fault, draw
from chaos.regressions import regressions

SECONDS = 45.0
PLANS = [draw(seed, SECONDS, replicas=3, gateways=2) for seed in range(200)]


def test_a_seed_is_a_plan() -> None:
    assert draw(7, SECONDS, replicas=3, gateways=2) == PLANS[7]
    assert PLANS[7] != PLANS[8]


@pytest.mark.parametrize("plan", PLANS[:50])
def test_all_faults_end_in_time(plan: list[Fault]) -> None:
    assert plan
    assert all(0 < fault.begins <= fault.ends <= SECONDS for fault in plan)


@pytest.mark.parametrize("plan", PLANS[:50])
def test_two_come_together_at_most_and_never_to_the_same_part(plan: list[Fault]) -> None:
    for fault in plan:
        others = [other for other in plan if other is not fault and other.begins <= fault.begins <= other.ends]
        assert len(others) <= 1
        assert fault.target == FLEET or fault.target not in {other.target for other in others}


def test_everything_happens_to_everything() -> None:
    drawn = {(fault.kind, fault.target) for plan in PLANS for fault in plan}
    for kind in KINDS:
        count = {"replica": 3, "gateway": 2}.get(kind.target, 1)
        assert sum(name == kind.name and target.startswith(kind.target) for name, target in drawn) == count


def test_the_list_of_regressions_can_be_read() -> None:
    for known in regressions():
        assert known.seconds > 0
