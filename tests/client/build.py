"""`python -m client.build DIRECTORY`: generate the client and check its types.

It is a package to install. The directory is emptied first.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

DOCUMENT: Final = Path(__file__).parents[2] / "docs/openapi.json"
CONFIG: Final = Path(__file__).with_name("config.yaml")
PACKAGE: Final = "ovms_api_client"


def build(directory: Path) -> str:
    """Generate the client; returns what the generator says, which is more than its first line where it leaves a call out.

    Raises:
        CalledProcessError: it cannot.
    """
    generator = Path(sys.executable).with_name("openapi-python-client")
    how = ("--path", DOCUMENT, "--config", CONFIG, "--meta", "setup", "--output-path", directory, "--overwrite")
    done = subprocess.run(
        [generator, "generate", *how], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


def check(directory: Path) -> str:
    """Check the types of a generated client; return the report of mypy, empty without errors."""
    mypy = Path(sys.executable).with_name("mypy")
    # Its own settings are none: those of a project around the directory are not the client's.
    done = subprocess.run(
        [mypy, "--strict", "--no-error-summary", "--config-file=", PACKAGE],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def main(directory: Path) -> int:
    print(build(directory))
    report = check(directory)
    print(report, end="")
    return 1 if report else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
