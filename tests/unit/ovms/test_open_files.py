"""The limit of open files, of processes that have one of their own."""

import subprocess
import sys

import pytest

from ovms.open_files import EXTRA, RESERVED

PROGRAM = """
import resource
from ovms.open_files import fit_connections

class Log:
    def warning(self, event, **data):
        print(event)

print(fit_connections({wanted}, "OVMS_CONNECTIONS", Log()), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
WARNING = "fewer connections than configured"


def fit(wanted: int, *, soft: int, hard: int) -> list[str]:
    """What a process with these limits says."""
    limited = f'ulimit -Sn {soft}; ulimit -Hn {hard}; exec "$0" -c "$1"'
    command = ["sh", "-c", limited, sys.executable, PROGRAM.format(wanted=wanted)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


@pytest.mark.parametrize(
    ("soft", "hard", "said"),
    [
        (64, 8192, [f"1000 {1000 + RESERVED + EXTRA}"]),
        (8000, 8192, ["1000 8000"]),
        (64, 1100, [WARNING, f"{1100 - RESERVED} 1100"]),
        (64, 150, [WARNING, "75 150"]),
    ],
    ids=["it is raised", "it is high enough", "it cannot be raised far", "it is very low"],
)
def test_connections_fit_the_files(soft: int, hard: int, said: list[str]) -> None:
    assert fit(1000, soft=soft, hard=hard) == said
