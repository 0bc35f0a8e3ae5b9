"""Start a fresh stack, give it the owners and cars of the conformance suite, and run the suite against it.

All scenarios are played three times, each time on a stack of its own: as the suite plays them, over TLS, and over WebSocket.
`--tls`, `--websocket` or both play them that way alone; other arguments go to the suite's runner. The exit status is 1 where a
scenario differs that `pending.txt` does not list, or where one that it lists does not differ any more.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fixtures.stack import Stack, running_stack

SUITE = Path(__file__).parents[3] / "shared/conformance"
OUR_RUNNER = Path(__file__).with_name("run.py")
PENDING = Path(__file__).with_name("pending.txt")

TLS, WEBSOCKET = "--tls", "--websocket"
TRANSPORTS = ([], [TLS], [WEBSOCKET])


def main(arguments: Sequence[str]) -> int:
    if not (SUITE / "run.py").exists():
        print("The conformance suite is not here (../shared/conformance): nothing is compared.")
        return 0
    asked = [argument for argument in arguments if argument in (TLS, WEBSOCKET)]
    others = [argument for argument in arguments if argument not in asked]
    return max(play(transport, others) for transport in ([asked] if asked else TRANSPORTS))


def play(transport: Sequence[str], arguments: Sequence[str]) -> int:
    """Play the scenarios on a stack of their own."""
    print(" ".join(["scenarios", *transport]), flush=True)
    with tempfile.TemporaryDirectory(prefix="ovms-") as directory, running_stack(Path(directory), OVMS_DEMO="0") as stack:
        provisioned = stack.ovms("provision", SUITE / "fixtures.json")
        if provisioned.returncode != 0:
            print(provisioned.stderr, file=sys.stderr)
            return provisioned.returncode
        seen = compare(stack, transport, arguments)
    return judge(seen, pending())


def compare(stack: Stack, transport: Sequence[str], arguments: Sequence[str]) -> dict[str, bool]:
    """Run the suite, show what it prints, and return whether each scenario was as the reference."""
    command = [sys.executable, "-u", OUR_RUNNER if transport else SUITE / "run.py", *where(stack, transport), *arguments]
    seen = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        for line in runner.stdout:
            print(line, end="", flush=True)
            if line.startswith(("ok ", "DIFF ")):
                verdict, name = line.split()
                seen[name] = verdict == "ok"
    return seen


def where(stack: Stack, transport: Sequence[str]) -> list[str | Path]:
    """The arguments that say where the stack is found."""
    if TLS not in transport:
        return [*transport, "--v2-port", str(stack.v2_port), "--http-port", str(stack.http_port)]
    ports = ["--v2-port", str(stack.v2_tls_port), "--http-port", str(stack.https_port)]
    return [*transport, *ports, "--ca", stack.certificate]


def judge(seen: dict[str, bool], expected_to_differ: set[str]) -> int:
    """Say what is not as it should be."""
    wrong = [name for name, same in seen.items() if same == (name in expected_to_differ)]
    for name in wrong:
        print(f"{name}: " + ("passes, take it out of pending.txt" if seen[name] else "differs"), file=sys.stderr)
    if not seen:
        print("no scenario was run", file=sys.stderr)
    return 1 if wrong or not seen else 0


def pending() -> set[str]:
    lines = PENDING.read_text().splitlines()
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
