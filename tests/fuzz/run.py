"""Runs targets one after the other, each for its part of the time."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fuzz.seeds import seeds, words
from fuzz.targets import WEIGHTS

TESTS: Final = Path(__file__).parents[1]
LONGEST_INPUT: Final = 4096
SLOWEST_INPUT: Final = 20
"""Seconds after which one input is a finding as well."""
MOST_MEMORY: Final = 1024
"""MiB."""
GRACE: Final = 60.0

_EXECUTIONS: Final = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a target."""

    name: str
    seconds: float
    executions: int
    finding: bytes | None
    """The input that something is wrong with."""
    output: str

    @property
    def is_clean(self) -> bool:
        """Whether it ran to its end without a finding."""
        return self.finding is None and self.executions > 0


def run(name: str, seconds: float, corpus: Path | None = None) -> Outcome:
    """Fuzz one target.

    Args:
        corpus: a directory for the inputs that reach something new, to go on from at another time.
    """
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        kept = corpus / name if corpus else work / "corpus"
        _write_seeds(name, work / "seeds")
        kept.mkdir(parents=True, exist_ok=True)
        (work / "words").write_text("".join(f'"{_escaped(word)}"\n' for word in words(name)))
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "fuzz.one", name, kept, work / "seeds"),
                *(f"-max_total_time={max(1, round(seconds))}", f"-max_len={LONGEST_INPUT}", "-print_final_stats=1"),
                *(f"-timeout={SLOWEST_INPUT}", f"-rss_limit_mb={MOST_MEMORY}", f"-dict={work / 'words'}"),
                f"-artifact_prefix={work}/finding-",
            ],
            env=os.environ | {"PYTHONPATH": str(TESTS)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds + GRACE,
            check=False,
        )
        output = _what_matters(ended.stdout.decode("utf-8", "replace"))
        findings = [path.read_bytes() for path in sorted(work.glob("finding-*"))]
        if ended.returncode and not findings:
            findings = [b""]
        executions = _EXECUTIONS.search(output)
        return Outcome(name, seconds, int(executions[1]) if executions else 0, findings[0] if findings else None, output)


def shares(seconds: float, names: Sequence[str]) -> dict[str, float]:
    """The time of each target out of that for all."""
    total = sum(WEIGHTS[name] for name in names)
    return {name: seconds * WEIGHTS[name] / total for name in names}


def _write_seeds(name: str, directory: Path) -> None:
    directory.mkdir()
    for number, seed in enumerate(seeds(name)):
        (directory / str(number)).write_bytes(seed)


def _what_matters(output: str) -> str:
    """All but what libFuzzer says of every input that it keeps."""
    return "\n".join(line for line in output.splitlines() if not line.startswith(("#", "INFO:")))


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)
