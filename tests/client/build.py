"""`python -m client.build DIRECTORY`: generate the client and check its types.

It is a package to install. The directory is emptied first.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

DOCUMENT: Final = Path(__file__).parents[2] / "docs/openapi.json"
CONFIG: Final = Path(__file__).with_name("config.yaml")
PACKAGE: Final = "ovms_api_client"


def build(directory: Path) -> str:
    """Generate the client; returns what the generator says, which is more than its first line where it leaves a call out.

    Raises:
        CalledProcessError: it cannot.
    """
    generator = Path(sys.executable).with_name("openapi-python-client")
    document = directory.with_name(f"{directory.name}-openapi.json")
    document.parent.mkdir(parents=True, exist_ok=True)
    document.write_text(json.dumps(readable(json.loads(DOCUMENT.read_text()))))
    how = ("--path", document, "--config", CONFIG, "--meta", "setup", "--output-path", directory, "--overwrite")
    done = subprocess.run(
        [generator, "generate", *how], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    return done.stdout


def readable(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with streams of events as text.

    The schema of a stream is that of one event, which the generator reads as that of the whole answer.
    """
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                if stream := response.get("content", {}).get("text/event-stream"):
                    stream["schema"] = {"type": "string"}
    return document


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
