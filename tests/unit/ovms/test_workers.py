"""How long to wait before another worker is started."""

import pytest

from ovms.workers import delay_after


@pytest.mark.parametrize(("deaths", "delay"), [(1, 0), (2, 1), (3, 2), (4, 4), (6, 16), (7, 30), (10**6, 30)])
def test_the_first_death_costs_no_time_and_no_number_of_them_costs_more_than_a_bound(deaths: int, delay: float) -> None:
    assert delay_after(deaths) == delay
