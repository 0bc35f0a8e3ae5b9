"""How both services say which settings are wrong."""

from typing import Final

from pydantic import ValidationError

from ovms.variables import UnknownVariable

STATUS: Final = 2
"""The exit status of a service whose settings are wrong."""


def describe(error: ValidationError | UnknownVariable) -> str:
    """Return one line that names each wrong setting and what is wrong with it. Values are left out: they may be secret."""
    if isinstance(error, UnknownVariable):
        return f"wrong settings: {error}"
    faults = error.errors(include_input=False, include_url=False)
    wrong = {f"OVMS_{str(fault['loc'][0]).upper()} ({fault['msg'].removeprefix('Value error, ')})" for fault in faults}
    return "wrong settings: " + ", ".join(sorted(wrong))
