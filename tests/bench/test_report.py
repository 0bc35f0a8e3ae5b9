"""What is made of several runs."""

from collections.abc import Sequence

import pytest

from bench import kept
from bench.measurement import Figure, Reading
from bench.report import Line, Report
from bench.table import FIGURES, MEASUREMENTS, chosen

MORE = Figure("more", Reading("more", "a second"), "/s", 100, Reading("most", "a second"), "the most", 0.5, is_guarded=True)
LESS = Figure(
    "less", Reading("less", "bytes"), "bytes", 8, Reading("least", "bytes"), "the least", is_less_better=True, is_guarded=True
)
WORST = Figure("latest", Reading("late", "ms"), "ms", 10, is_less_better=True, of_runs=max)


def report(**runs: Sequence[float]) -> Report:
    names = {figure.of.measurement: figure.of.name for figure in (MORE, LESS, WORST)} | {"most": "a second", "least": "bytes"}
    readings = {name: [{names[name]: value} for value in values] for name, values in runs.items()}
    return Report({"revision": "r", "cores": "2", "processor": "p"}, [MORE, LESS, WORST], readings, 1.0)


def line(**runs: Sequence[float]) -> Line:
    [only] = report(**runs).lines()
    return only


def test_the_figure_is_the_median_and_its_limit_that_of_the_same_run() -> None:
    found = line(more=[10, 90, 30], most=[20, 100, 300])

    assert (found.value, found.limit) == (30, 100)
    assert list(found.fractions) == [0.5, 0.9, 0.1]
    assert found.fraction == 0.5
    assert (found.meets_goal, found.meets_goal_of_limit) == (False, True)


def test_where_not_each_run_has_a_limit_it_is_the_median_of_those_that_there_are() -> None:
    assert list(line(more=[10, 90, 30], most=[100]).fractions) == [0.1, 0.9, 0.3]


def test_without_its_limit_a_figure_has_no_part_of_it() -> None:
    found = line(more=[100])

    assert (found.limit, found.fraction, found.meets_goal_of_limit) == (None, None, None)
    assert found.meets_goal is True


def test_of_what_is_said_of_all_the_worst_run_counts() -> None:
    found = line(late=[1, 11, 2])

    assert found.value == 11
    assert found.meets_goal is False


def test_less_may_be_better() -> None:
    assert line(less=[7.9]).meets_goal is True
    assert line(less=[8.1]).meets_goal is False


def test_the_table_and_the_json_have_a_line_a_figure() -> None:
    found = report(more=[10, 90, 30], most=[20, 100, 300], late=[1, 11, 2])

    assert "more                                     30" in found.table()
    assert "10 … 90" in found.table()
    assert [(one["name"], one["value"], one["values"]) for one in found.as_json()["figures"]] == [
        ("more", 30, [10, 90, 30]),
        ("latest", 11, [1, 11, 2]),
    ]


@pytest.mark.parametrize(
    ("found", "is_drop"),
    [(report(more=[61], most=[100]), False), (report(more=[59], most=[100]), True), (report(more=[200], most=[100]), False)],
)
def test_a_figure_drops_where_less_than_three_fifths_are_left(found: Report, is_drop: bool) -> None:
    assert bool(kept.drops(found, {"more": 1.0})) is is_drop


@pytest.mark.parametrize(
    ("found", "is_drop"),
    [(report(less=[16], least=[10]), False), (report(less=[17], least=[10]), True), (report(less=[1], least=[10]), False)],
)
def test_where_less_is_better_it_drops_where_it_grows_by_as_much(found: Report, is_drop: bool) -> None:
    assert bool(kept.drops(found, {"less": 1.0})) is is_drop


def test_what_has_dropped_is_measured_again_and_only_that() -> None:
    asked: list[Sequence[str]] = []
    later = [report(more=[1], most=[100]), report(more=[99], most=[100])]

    def again(names: Sequence[str]) -> Report:
        asked.append(names)
        return later.pop(0)

    first = report(more=[1], most=[100], less=[10], least=[10])

    assert kept.confirmed(first, {"more": 1.0, "less": 1.0}, again, tries=3) == []
    assert asked == [["more"], ["more"]]


def test_what_drops_each_time_has_dropped() -> None:
    bad = report(more=[1], most=[100])

    assert [drop.measurement for drop in kept.confirmed(bad, {"more": 1.0}, lambda names: bad)] == ["more"]


def test_a_drop_says_what_it_was() -> None:
    [drop] = kept.drops(report(more=[1, 10, 30], most=[100, 100, 100]), {"more": 0.25})

    assert str(drop) == "more: 10.0% of its limit, where it was 25.0%"


def test_every_guarded_figure_is_kept() -> None:
    assert kept.read().keys() == {figure.of.measurement for figure in FIGURES if figure.is_guarded}


def test_every_figure_is_of_something_that_is_measured() -> None:
    names = [measurement.name for measurement in MEASUREMENTS]

    assert len(set(names)) == len(names)
    assert {reading.measurement for figure in FIGURES for reading in (figure.of, figure.limit) if reading} == set(names)


def test_who_asks_for_some_gets_their_limits_as_well() -> None:
    assert [measurement.name for measurement in chosen(["messages", "status"])] == [
        "messages",
        "decoding",
        "status",
        "response",
    ]
    assert chosen([]) == MEASUREMENTS
