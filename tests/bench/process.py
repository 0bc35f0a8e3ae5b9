"""What the kernel and the services tell of a process."""

import os
import resource
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Bytes of memory that a process has of its own: what it shares with others, as its programs, is not counted."""
    for line in Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def in_memory(pid: int) -> int:
    """Bytes of memory that a process is in, with what it may share with others."""
    return int(Path("/proc", str(pid), "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def settled(measure: Callable[[], int], *, within: float = 8.0, every: float = 0.25) -> int:
    """A figure once it has stayed the same for four looks, or at the end of the time."""
    deadline = time.monotonic() + within
    seen = [measure()]
    while time.monotonic() < deadline and (len(seen) < 4 or len(set(seen[-4:])) > 1):
        time.sleep(every)
        seen.append(measure())
    return seen[-1]


def await_idle(pids: Sequence[int], *, within: float = 10.0, every: float = 0.1, busy: float = 0.3) -> None:
    """Wait until some processes together keep less than so much of a core busy, or until the time is over."""
    deadline = time.monotonic() + within
    before = sum(map(cpu_seconds, pids))
    while time.monotonic() < deadline:
        time.sleep(every)
        now = sum(map(cpu_seconds, pids))
        if now - before < every * busy:
            return
        before = now


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken, with the kernel's time on its behalf."""
    fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def tree_cpu_seconds(pid: int) -> float:
    """The same of a process and its children, as PostgreSQL's."""
    children = Path("/proc", str(pid), "task", str(pid), "children").read_text().split()
    return cpu_seconds(pid) + sum(cpu_seconds(int(child)) for child in children)


def metric(port: int, name: str) -> float:
    """A counter of car-protocol; 0 where it has none of this name, as one of an earlier revision."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=5.0) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
    return 0.0


def raise_open_files() -> int:
    """Allow this process and its children as many open files as the system lets them have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most
