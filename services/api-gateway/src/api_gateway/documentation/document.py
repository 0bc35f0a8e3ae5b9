"""Prints docs/openapi.json: what the gateway serves as `/openapi.json`, to be read and compared line by line."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from api_gateway.app import make_api
from api_gateway.documentation.openapi import make_document


def document() -> str:
    """The document, its members in the order of the code."""
    return json.dumps(make_document(make_api()), indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Write the document to the file that is named, else to the standard output."""
    if arguments:
        Path(arguments[0]).write_text(document(), encoding="utf-8")
    else:
        sys.stdout.write(document())


if __name__ == "__main__":
    main(sys.argv[1:])
