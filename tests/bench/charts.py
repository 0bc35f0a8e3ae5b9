"""The figures as pictures: how near each is to its goal and to its limit, how long things take, who is busy meanwhile."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.errors import BenchError
from bench.measurements.messages import BUSY
from bench.report import Line, Report

try:
    from matplotlib.figure import Figure as Picture
except ImportError:
    raise BenchError("there is no matplotlib to draw charts with: `make bench` installs it") from None

WIDTH: Final = 9.0
OF_A_LINE: Final = 0.42
AROUND: Final = 1.4
"""Inches."""

_MET: Final = "#2a7f62"
_MISSED: Final = "#c1553b"
_PLAIN: Final = "#5b7f9d"
_COLOURS: Final = ("#2a7f62", "#5b7f9d", "#d9a441", "#c1553b")
_PERCENTILES: Final = ("p50", "p90", "p99", "p99.9")


def draw(report: Report, directory: Path) -> None:
    """Write them, as PNG."""
    directory.mkdir(parents=True, exist_ok=True)
    lines = report.lines()
    _draw_goals([line for line in lines if line.figure.goal is not None], report, directory / "goals.png")
    _draw_limits([line for line in lines if line.limits], report, directory / "limits.png")
    _draw_times(report, directory / "times.png")
    _draw_cores(report, directory / "cores.png")


def _draw_goals(lines: Sequence[Line], report: Report, path: Path) -> None:
    """Each figure as a part of its goal; where less is better the goal as a part of the figure, so that more always is."""
    values = [[_of_goal(line, value) for value in line.values] for line in lines]
    colours = [_MET if line.meets_goal else _MISSED for line in lines]
    picture, axes = _picture(
        len(lines), "Figures as parts of their goals; where less is better, goals as parts of figures", report
    )
    _bars(axes, lines, [_of_goal(line, line.value) for line in lines], values, colours, begin=1.0)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="both", labelsize=7)
    axes.set_xlabel("of the goal; a dot is a run")
    _write(picture, path, lines)


def _of_goal(line: Line, value: float) -> float:
    goal = line.figure.goal or 0.0
    return goal / value if line.figure.is_less_better else value / goal


def _draw_limits(lines: Sequence[Line], report: Report, path: Path) -> None:
    colours = [{None: _PLAIN, True: _MET, False: _MISSED}[line.meets_goal_of_limit] for line in lines]
    picture, axes = _picture(len(lines), "Figures as parts of what was measured beside them", report)
    _bars(axes, lines, [line.fraction or 0.0 for line in lines], [line.fractions for line in lines], colours)
    for place, line in enumerate(lines):
        if line.figure.goal_of_limit is not None:
            axes.plot([line.figure.goal_of_limit] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.5)
    axes.set_yticks(
        range(len(lines)), [f"{line.figure.title.strip()}\nof {line.figure.limit_title}" for line in lines], fontsize=7
    )
    axes.set_xlabel("of the limit; a dot is a run, a stroke the goal")
    _write(picture, path, lines)


def _draw_times(report: Report, path: Path) -> None:
    """What has percentiles."""
    found = {name: runs for name, runs in report.runs.items() if all(each in runs[0] for each in _PERCENTILES)}
    picture, axes = _picture(6, "How long a message takes", report)
    for name, runs in found.items():
        axes.plot(_PERCENTILES, [median(run[each] for run in runs) for each in _PERCENTILES], marker="o", label=name)
    axes.set_yscale("log")
    axes.set_ylabel("ms, the median of the runs")
    axes.grid(visible=True, which="both", alpha=0.2)
    if found:
        axes.legend()
    _write(picture, path, found)


def _draw_cores(report: Report, path: Path) -> None:
    """Who is busy while messages are measured."""
    found = {name: runs for name, runs in report.runs.items() if f"cores busy, {BUSY[-1]}" in runs[0]}
    picture, axes = _picture(max(3, len(found)), "Cores that are busy while messages are measured", report)
    ends = [0.0] * len(found)
    for who, colour in zip(BUSY, _COLOURS, strict=True):
        cores = [median(run[f"cores busy, {who}"] for run in runs) for runs in found.values()]
        axes.barh(list(found), cores, left=ends, color=colour, label=who)
        ends = [end + more for end, more in zip(ends, cores, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("cores, the median of the runs")
    if found:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _write(picture, path, found)


def _picture(lines: int, title: str, report: Report) -> tuple[Any, Any]:
    picture = Picture(figsize=(WIDTH, AROUND + OF_A_LINE * lines), layout="constrained")
    axes: Any = picture.subplots()
    machine = report.machine
    axes.set_title(f"{title}\n{machine['revision']}, {machine['cores']} cores, {machine['processor']}", fontsize=9)
    return picture, axes


def _bars(
    axes: Any,
    lines: Sequence[Line],
    values: Sequence[float],
    of_runs: Sequence[Sequence[float]],
    colours: Sequence[str],
    *,
    begin: float = 0.0,
) -> None:
    places = range(len(lines))
    axes.barh(places, [value - begin for value in values], left=begin, color=colours, alpha=0.8)
    for place, dots in enumerate(of_runs):
        axes.plot(dots, [place] * len(dots), ".", color="black", markersize=4)
    axes.set_yticks(places, [line.figure.title.strip() for line in lines], fontsize=8)
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x", alpha=0.2)


def _write(picture: Any, path: Path, content: object) -> None:
    """One without content would be of an earlier run, or empty."""
    path.unlink(missing_ok=True)
    if content:
        picture.savefig(path, dpi=130)
