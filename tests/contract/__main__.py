"""`python -m contract [--examples N] [--seconds N] [--seed N] [-- OPTION …]`: look for calls that break the contract.

What stands behind `--` goes to `schemathesis run`, such as `--include-path /api/v1/vehicles`.
"""

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from contract.run import check, two_owners


def main() -> int:
    """Exit status 0 where nothing was found."""
    parser = argparse.ArgumentParser(prog="contract", description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="most requests of each kind for a call")
    parser.add_argument("--seconds", type=int, help="go on until they are over")
    parser.add_argument("--seed", type=int, help="make the requests of this seed again")
    parser.add_argument("others", nargs="*", metavar="OPTION")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else secrets.randbelow(2**32)
    time = ["--max-time", str(asked.seconds)] if asked.seconds else []
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory, two_owners(Path(directory)) as stack:
        status, _ = check(stack, Path(directory), ["-n", str(asked.examples), "--seed", str(seed), *time, *asked.others])
    return status


if __name__ == "__main__":
    sys.exit(main())
