"""What an import says."""

from ovms.admin.reference.progress import Progress
from ovms.admin.reference.report import KINDS, Report


def test_a_report_counts_and_names_a_few() -> None:
    report = Report()
    report.take("owners", new=2, known=1)
    for number in range(9):
        report.leave("owners", "without a name", f"owner {number % 7}")
    report.leave("vehicles", "deleted there", "A")
    report.leave_unseen("history", "unseen", 3)
    report.leave_unseen("messages", "unseen", -1)
    report.note("owners", "do this", "Ann")
    report.remark("over")
    assert report.lines() == [
        "owners: 2 taken, 1 here already, 9 left out",
        "vehicles: 0 taken, 0 here already, 1 left out",
        "messages: 0 taken, 0 here already, 0 left out",
        "history: 0 taken, 0 here already, 3 left out",
        *(f"{kind}: 0 taken, 0 here already, 0 left out" for kind in KINDS[4:]),
        "left out: 9 of owners, without a name (owner 0, owner 1, owner 2, owner 3, owner 4, …)",
        "left out: 1 of vehicles, deleted there (A)",
        "left out: 3 of history, unseen",
        "to do: 1 of owners, do this (Ann)",
        "over",
    ]


def test_progress_is_told_now_and_then() -> None:
    now, said = 0.0, list[str]()
    progress = Progress(said.append, lambda: now)
    progress.begin("history", 200)
    progress.advance(50)
    now = 2.0
    progress.advance(50)
    progress.advance(50)
    now = 5.0
    progress.advance(100)
    progress.begin("tokens", 0)
    now = 9.0
    progress.advance(1)
    assert said == [
        "history: 100 of 200 rows, 50 %",
        "history: 250 of 200 rows, 100 %",
        "tokens: 1 of 0 rows, 100 %",
    ]
