"""The message that names wrong settings."""

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
    return "wrong settings: " + ", ".join(sorted({_fault(fault["loc"], fault["msg"]) for fault in faults}))


def _fault(location: tuple[int | str, ...], message: str) -> str:
    reason = message.removeprefix("Value error, ")
    return f"OVMS_{str(location[0]).upper()} ({reason})" if location else reason
