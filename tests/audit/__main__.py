"""`python -m audit vulnerabilities | sbom DIRECTORY`."""

import sys
from pathlib import Path

from audit import sbom, vulnerabilities

match sys.argv[1:]:
    case ["vulnerabilities"]:
        sys.exit(vulnerabilities.main())
    case ["sbom", directory]:
        sys.exit(sbom.main(Path(directory)))
    case _:
        sys.exit(__doc__)
