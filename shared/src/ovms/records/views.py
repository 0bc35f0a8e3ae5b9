"""The legacy JSON of `/api/*`: which members of which records an endpoint gives.

Values are the tokens as the car sent them: an empty one stays `""`, a missing one is null, and the bits of the
door states are numbers, the bit's mask or 0.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from ovms.records.environment import Environment
from ovms.records.four_tyres import FourTyres
from ovms.records.location import Location
from ovms.records.parts import Json, Tokens, ViewField, Wheels
from ovms.records.state import State


class Part(Protocol):
    """What one record contributes to an answer."""

    code: str
    fields: tuple[ViewField, ...]
    wheel_fields: tuple[ViewField, ...]

    def render(self, text: str) -> Json:
        """The members of the answer, from the record's data."""


class View:
    """The answer of one endpoint, from the newest record of each of its codes.

    Attributes:
        codes: The message codes that it reads.
        fields: Its members, of all records.
        wheel_fields: Members that stand once a wheel, as `<wheel>_<name>`.
    """

    def __init__(self, *parts: Part, first_only: bool = False) -> None:
        """Join what records contribute, or take the first that is there."""
        self.codes = tuple(part.code for part in parts)
        self.fields = tuple(field for part in parts for field in part.fields)
        self.wheel_fields = tuple(field for part in parts for field in part.wheel_fields)
        self._parts = parts
        self._most = 1 if first_only else len(parts)

    def render(self, texts: Mapping[str, str]) -> Json:
        """The answer without its times and ages; only records that are there contribute.

        Args:
            texts: Message code to data, that is the text after the code.
        """
        answer: Json = {}
        for part in [part for part in self._parts if part.code in texts][: self._most]:
            answer |= part.render(texts[part.code])
        return answer


STATUS: Final = View(
    Tokens(
        State,
        "soc units idealrange idealrange_max estimatedrange mode chargestate cac100 soh cooldown_active",
    ),
    Tokens(Environment),
)
CHARGE: Final = View(
    Tokens(State),
    Tokens(
        Environment,
        "cp_dooropen pilotpresent charging caron temperature_pem temperature_motor temperature_battery"
        " temperature_charger temperature_ambient temperature_cabin carawake staletemps staleambient"
        " charging_12v vehicle12v vehicle12v_ref vehicle12v_current",
    ),
)
LOCATION: Final = View(Tokens(Location))
TPMS_Y: Final = View(Wheels())
TPMS_W: Final = View(Tokens(FourTyres))
TPMS: Final = View(Wheels(), Tokens(FourTyres), first_only=True)
LOCK: Final = View(Tokens(Environment, "carlocked"))
VALET: Final = View(Tokens(Environment, "valetmode"))
