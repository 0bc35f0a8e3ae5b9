"""What somebody can set on the car by commands."""

from dataclasses import dataclass, field
from typing import Final

FEATURES: Final = 16
PARAMETERS: Final = 24


@dataclass(slots=True)
class Controls:
    """The car's switches, as they stand."""

    locked: bool = True
    valet: bool = False
    charge_mode: int = 0
    """0 standard, 1 storage, 3 range, 4 performance (manual, command 10)."""
    charge_limit: int = 32
    """Ampere."""
    features: list[str] = field(default_factory=lambda: ["0"] * FEATURES)
    parameters: list[str] = field(default_factory=lambda: [""] * PARAMETERS)
