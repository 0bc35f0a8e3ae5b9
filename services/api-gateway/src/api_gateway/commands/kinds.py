"""The commands that a car knows: their numbers, and their arguments in order (manual, Commands). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api_gateway.commands.arguments import PHONE, PIN, START_TIME, Argument, Fields, text, whole, word
from api_gateway.errors import InvalidArgument
from ovms.auth.rights import ADMIN, CONTROL
from ovms.protocol.commands import MOST_TO_A_CAR


@dataclass(frozen=True, slots=True)
class Kind:
    """A command without its arguments."""

    name: str
    number: int
    arguments: tuple[Argument, ...] = ()
    fixed: tuple[str, ...] = ()
    """Arguments that the caller does not give."""
    scope: str = CONTROL
    """The scope that it needs."""
    is_list: bool = False
    """Whether the car answers many times."""

    def write(self, fields: Fields) -> bytes:
        """The message to the car.

        Raises:
            InvalidArgument: an argument is missing or impossible, or all of them are too long.
        """
        parts = [f"C{self.number}", *self.fixed, *(argument.read(fields) for argument in self.arguments)]
        message = ",".join(parts).encode()
        if len(message) > MOST_TO_A_CAR:
            raise InvalidArgument(self.arguments[-1].name, "shorter")
        return message

    def shown(self, fields: Fields) -> dict[str, Any]:
        """The arguments that may be shown again."""
        return {one.name: one.show(one.read(fields)) for one in self.arguments if not one.is_secret}

    def read_json(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        """The fields of a JSON object.

        Raises:
            InvalidArgument: one is missing, impossible, or of another kind.
        """
        known = {argument.name: argument for argument in self.arguments}
        if not arguments.keys() <= known.keys():
            raise InvalidArgument("arguments", f"an object of {', '.join(known) or 'nothing'} alone")
        fields = {name: known[name].read_json(value) for name, value in arguments.items()}
        for argument in self.arguments:
            argument.read(fields)
        return fields


MODE: Final = word("mode", {"standard": 0, "storage": 1, "range": 3, "performance": 4})
CURRENT: Final = whole("current", 1, 255, "[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]")
TIMER_MODE: Final = word("timermode", {"plugin": 0, "timer": 1})
ACTION: Final = word("action", {"start": 11, "stop": 12})
_TO_31: Final = "[12]?[0-9]|3[01]"
_FEATURE: Final = whole("feature", 0, 31, _TO_31)
_PARAMETER: Final = whole("parameter", 0, 31, _TO_31)

LIST_FEATURES: Final = Kind("list_features", 1, is_list=True)
SET_FEATURE: Final = Kind("set_feature", 2, (_FEATURE, text("value", may_be_empty=True, is_secret=False)))
LIST_PARAMETERS: Final = Kind("list_parameters", 3, is_list=True)
# Some parameters are passwords.
SET_PARAMETER: Final = Kind("set_parameter", 4, (_PARAMETER, text("value", may_be_empty=True)))
RESET: Final = Kind("reset", 5)
TEXT: Final = Kind("text", 7, (text("command"),), scope=ADMIN)
SET_MODE: Final = Kind("set_charge_mode", 10, (MODE,))
START_CHARGE: Final = Kind("charge_start", 11)
STOP_CHARGE: Final = Kind("charge_stop", 12)
SET_CURRENT: Final = Kind("set_charge_current", 15, (CURRENT,))
SET_MODE_AND_CURRENT: Final = Kind("set_charge_mode_and_current", 16, (MODE, CURRENT))
SET_TIMER: Final = Kind("set_charge_timer", 17, (TIMER_MODE, START_TIME))
WAKE_UP: Final = Kind("wake_up", 18)
LOCK: Final = Kind("lock", 20, (PIN,))
VALET: Final = Kind("valet_on", 21, (PIN,))
UNLOCK: Final = Kind("unlock", 22, (PIN,))
NO_VALET: Final = Kind("valet_off", 23, (PIN,))
HOME_LINK: Final = Kind("homelink", 24, (whole("button", 0, 2, "[0-2]"),))
COOL_DOWN: Final = Kind("cooldown", 25)
CLIMATE_ON: Final = Kind("climate_on", 26, fixed=("1",))
CLIMATE_OFF: Final = Kind("climate_off", 26, fixed=("0",))
SMS: Final = Kind("sms", 40, (PHONE, text("message")), scope=ADMIN)
USSD: Final = Kind("ussd", 41, (text("code"),), scope=ADMIN)
AT: Final = Kind("at", 49, (text("command"),), scope=ADMIN)

# Lists are not among them: what they answer may be passwords, and is kept nowhere.
KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        LOCK,
        UNLOCK,
        VALET,
        NO_VALET,
        START_CHARGE,
        STOP_CHARGE,
        SET_MODE,
        SET_CURRENT,
        SET_MODE_AND_CURRENT,
        SET_TIMER,
        CLIMATE_ON,
        CLIMATE_OFF,
        COOL_DOWN,
        WAKE_UP,
        HOME_LINK,
        SET_FEATURE,
        SET_PARAMETER,
        RESET,
        TEXT,
        SMS,
        USSD,
        AT,
    )
}
ALL_KINDS: Final[Mapping[str, Kind]] = {**KINDS, LIST_FEATURES.name: LIST_FEATURES, LIST_PARAMETERS.name: LIST_PARAMETERS}
OF_ADMINS: Final = tuple(kind.name for kind in KINDS.values() if kind.scope == ADMIN)

_CHARGE: Final = {
    frozenset({"mode"}): SET_MODE,
    frozenset({"current"}): SET_CURRENT,
    frozenset({"mode", "current"}): SET_MODE_AND_CURRENT,
    frozenset({"timermode", "starttime"}): SET_TIMER,
}
CHARGE_FIELDS: Final = (ACTION, MODE, CURRENT, TIMER_MODE, START_TIME)


def choose_charge(fields: Fields) -> Kind:
    """The one command that these fields of a charge call mean.

    Raises:
        InvalidArgument: they mean none, or more than one.
    """
    given = frozenset(fields)
    if given == {"action"}:
        return START_CHARGE if ACTION.read(fields) == "11" else STOP_CHARGE
    if (kind := _CHARGE.get(given)) is None:
        raise InvalidArgument("action", "give one of action, mode and/or current, or timermode with starttime")
    return kind
