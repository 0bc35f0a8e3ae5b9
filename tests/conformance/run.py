"""Play the scenarios of the conformance suite over TLS, over WebSocket, or over both.

    run.py --v2-port 6870 --http-port 6869 --tls --ca certificate.pem
    run.py --v2-port 6867 --http-port 6868 --websocket

Scenarios, fixtures and what the reference was seen to do are the suite's own; only how bytes travel is ours. Like the suite's
own runner it prints a line a scenario, with the differences, and ends with status 1 where anything differs.
"""

import argparse
import difflib
import importlib
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from travel import put_in_place, tls_context

SUITE = Path(__file__).parents[3] / "shared/conformance"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--v2-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--suite", type=Path, default=SUITE, help="the folder of the suite")
    parser.add_argument("--tls", action="store_true", help="TLS for protocol v2, HTTPS for the API")
    parser.add_argument("--ca", type=Path, help="the certificates to trust")
    parser.add_argument("--websocket", action="store_true", help="protocol v2 in frames of a WebSocket")
    parser.add_argument("--only", metavar="SCENARIO")
    options = parser.parse_args()

    sys.path.insert(0, str(options.suite))
    scenarios = importlib.import_module("scenarios")
    context = tls_context(options.ca) if options.tls else None
    put_in_place(importlib.import_module("peers"), scenarios, context, is_websocket=options.websocket)
    expected = read_expected(options.suite)
    world = lambda: scenarios.World(options.host, options.v2_port, options.http_port)  # noqa: E731
    verdicts = [compare(play, world, expected) for play in chosen(scenarios, options.only)]
    print(f"{sum(verdicts)} as the reference, {len(verdicts) - sum(verdicts)} different")
    return 0 if all(verdicts) else 1


def chosen(scenarios: ModuleType, only: str | None) -> Iterator[Callable[[Any], Any]]:
    return (play for play in scenarios.SCENARIOS if only in (None, play.__name__))


def read_expected(suite: Path) -> dict[str, Any]:
    """What each scenario should see; corrections of what the reference does wrong win."""
    expected = {}
    for name in ("expected.json", "corrected.json"):
        for scenario, seen in json.loads((suite / name).read_text()).items():
            expected[scenario] = seen["seen"] if isinstance(seen, dict) else seen
    return expected


def compare(play: Callable[[Any], Any], make_world: Callable[[], Any], expected: dict[str, Any]) -> bool:
    """Play a scenario and say whether it saw what it should."""
    name, world = play.__name__, make_world()
    try:
        seen = json.loads(json.dumps(play(world)))
    except Exception:  # noqa: BLE001  (whatever keeps a scenario from its end is what it saw)
        seen = [["failed", traceback.format_exc(limit=3).splitlines()]]
    world.close()
    wanted = expected[name]
    is_same = bool(seen == wanted)
    print("ok  " if is_same else "DIFF", name, flush=True)
    if not is_same:
        texts = (json.dumps(value, indent=1).splitlines() for value in (wanted, seen))
        for line in difflib.unified_diff(*texts, "reference", "this server", lineterm="", n=2):
            print("    ", line)
    return is_same


if __name__ == "__main__":
    sys.exit(main())
