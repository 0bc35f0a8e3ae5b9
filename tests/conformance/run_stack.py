"""Start a fresh stack, give it the owners and cars of the conformance suite, and run the suite against it.

All scenarios are played four times, each time on a stack of its own: as the suite plays them, over TLS, over WebSocket, and
against replicas: three of car-protocol behind one port and two of api-gateway behind another, where each connection goes to
the next, so that a car, its app and an HTTP caller are never on the same one. Two are played at the same time, since the suite
mostly waits to see that nothing more comes; but none before both stacks are ready, and no stack ends before both were played: a
scenario gives a server fractions of a second, which starts and ends of others would take, and so would more stacks on a small
machine. `--tls`, `--websocket` or both, or `--replicas`, play them that way alone; other arguments go to the runner. The
exit status is 1 where a scenario differs that `pending.txt` does not list, or where one that it lists does not differ any more.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fixtures.relay import relayed
from fixtures.replicas import Rig
from fixtures.stack import OVMS, running_stack

SUITE = Path(__file__).parents[3] / "shared/conformance"
OUR_RUNNER = Path(__file__).with_name("run.py")
PENDING = Path(__file__).with_name("pending.txt")

TLS, WEBSOCKET, REPLICAS = "--tls", "--websocket", "--replicas"
PAIRS: tuple[tuple[list[str], list[str]], ...] = (([], [TLS]), ([WEBSOCKET], [REPLICAS]))

Output = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """A stack to play against."""

    ports: tuple[int, int]
    tls_ports: tuple[int, int]
    certificate: Path
    environment: dict[str, str]
    """What `ovms` is told to find its database."""


def main(arguments: Sequence[str]) -> int:
    if not (SUITE / "run.py").exists():
        print("The conformance suite is not here (../shared/conformance): nothing is compared.")
        return 0
    way = [argument for argument in arguments if argument in (TLS, WEBSOCKET, REPLICAS)]
    others = [argument for argument in arguments if argument not in way]
    if way:
        with ready(way) as target:
            wrong = play(target, way, others, lambda line: print(line, end="", flush=True))
    else:
        wrong = [line for pair in PAIRS for line in play_pair(pair, others)]
    # At the end, where those look who see no more of a long run.
    print("".join(wrong), end="", flush=True)
    return 1 if wrong else 0


def play_pair(ways: Sequence[Sequence[str]], arguments: Sequence[str]) -> list[str]:
    """Play ways at the same time, print what each gave when those before it have ended, and return what is wrong."""
    printed: list[list[str]] = [[] for _ in ways]
    wrong: list[str] = []
    with ExitStack() as stacks, ThreadPoolExecutor(len(ways)) as threads:
        targets = list(threads.map(lambda way: stacks.enter_context(ready(way)), ways))
        playing = [
            threads.submit(play, target, way, arguments, lines.append)
            for target, way, lines in zip(targets, ways, printed, strict=True)
        ]
        for playing_so, lines in zip(playing, printed, strict=True):
            wrong += playing_so.result()
            print("".join(lines), end="", flush=True)
    return wrong


@contextmanager
def ready(way: Sequence[str]) -> Iterator[Target]:
    """A fresh stack with the owners and cars of the suite."""
    start = running_replicas if REPLICAS in way else running_one
    with start() as target:
        subprocess.run([OVMS, "provision", SUITE / "fixtures.json"], env=target.environment, timeout=60, check=True)
        yield target


def play(target: Target, way: Sequence[str], arguments: Sequence[str], output: Output) -> list[str]:
    """Play the scenarios on a stack, and return a line for each thing that is not as it should be."""
    name = " ".join(["scenarios", *way])
    output(f"{name}\n")
    return [f"{name}: {complaint}\n" for complaint in judge(compare(target, way, arguments, output), pending())]


@contextmanager
def running_one() -> Iterator[Target]:
    """The stack that `make run` starts."""
    with tempfile.TemporaryDirectory(prefix="ovms-") as directory, running_stack(Path(directory), OVMS_DEMO="0") as stack:
        ports, tls_ports = (stack.v2_port, stack.http_port), (stack.v2_tls_port, stack.https_port)
        yield Target(ports, tls_ports, stack.certificate, stack.environment)


@contextmanager
def running_replicas() -> Iterator[Target]:
    """Three replicas of car-protocol behind one port, two of api-gateway behind another."""
    with (
        Rig(replicas=3, gateways=2) as rig,
        relayed(*(replica.port for replica in rig.replicas)) as v2_port,
        relayed(*(gateway.port for gateway in rig.gateways)) as http_port,
    ):
        yield Target((v2_port, http_port), (0, 0), Path(), rig.environment())


def compare(target: Target, way: Sequence[str], arguments: Sequence[str], output: Output) -> dict[str, bool]:
    """Run the suite, pass on what it prints, and return whether each scenario was as the reference."""
    command = [sys.executable, "-u", OUR_RUNNER if set(way) - {REPLICAS} else SUITE / "run.py", *where(target, way), *arguments]
    seen = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as runner:
        assert runner.stdout is not None
        for line in runner.stdout:
            output(line)
            if line.startswith(("ok ", "DIFF ")):
                verdict, name = line.split()
                seen[name] = verdict == "ok"
    return seen


def where(target: Target, way: Sequence[str]) -> list[str | Path]:
    """The arguments that say where the stack is found."""
    v2_port, http_port = target.tls_ports if TLS in way else target.ports
    trusted = ["--ca", target.certificate] if TLS in way else []
    travels = [argument for argument in way if argument != REPLICAS]
    return [*travels, "--v2-port", str(v2_port), "--http-port", str(http_port), *trusted]


def judge(seen: dict[str, bool], expected_to_differ: set[str]) -> list[str]:
    """What is not as it should be."""
    if not seen:
        return ["none was run"]
    wrong = [name for name, same in seen.items() if same == (name in expected_to_differ)]
    return [f"{name} " + ("passes, take it out of pending.txt" if seen[name] else "differs") for name in wrong]


def pending() -> set[str]:
    lines = PENDING.read_text().splitlines()
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
