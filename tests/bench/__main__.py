"""`python -m bench [--short] [--json FILE]`: measure and print the figures."""

import argparse
import json
import signal
import sys
from pathlib import Path

from bench.run import FULL, SHORT, measure
from bench.stack import BenchError
from ovms.local.errors import LocalError


def main() -> int:
    """Exit status 0 where all could be measured, else 1."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a small run of some seconds, to see that it works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that all that was started is stopped
    try:
        report = measure(SHORT if arguments.short else FULL)
    except (BenchError, LocalError, TimeoutError) as error:
        print(f"bench: {error or type(error).__name__}", file=sys.stderr)
        return 1
    print(report.table())
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
