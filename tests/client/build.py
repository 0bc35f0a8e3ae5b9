"""`python -m client.build DIRECTORY`: generate the client, as a package to install, into a directory that it empties first."""

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


if __name__ == "__main__":
    print(build(Path(sys.argv[1])))
