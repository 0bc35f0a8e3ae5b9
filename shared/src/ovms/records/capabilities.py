"""V: the commands that a car takes."""

from typing import Annotated

from ovms.records.columns import Rest
from ovms.records.record import Record, record


@record("V")
class Capabilities(Record):
    """Commands that the car takes: `C7`, or `C10-12` for a range. Firmware of the third generation sends none."""

    commands: Annotated[tuple[str, ...], Rest("Commands and ranges of commands")]
