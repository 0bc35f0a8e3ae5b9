"""The commands that a car knows: their numbers, and their arguments in order (manual, Commands). Pure."""

from dataclasses import dataclass
from typing import Final

from api_gateway.commands.arguments import PHONE, PIN, START_TIME, Argument, Fields, text, whole, word
from api_gateway.errors import InvalidArgument

# A module reads lines of 1,024 bytes; so much of a message makes one.
LONGEST: Final = 1020 // 4 * 3 - len(b"MP-0 ")


@dataclass(frozen=True, slots=True)
class Kind:
    """A command without its arguments."""

    number: int
    arguments: tuple[Argument, ...] = ()
    fixed: tuple[str, ...] = ()
    """Arguments that the caller does not give."""

    def write(self, fields: Fields) -> bytes:
        """The message to the car.

        Raises:
            InvalidArgument: an argument is missing or impossible, or all of them are too long.
        """
        parts = [f"C{self.number}", *self.fixed, *(argument.read(fields) for argument in self.arguments)]
        message = ",".join(parts).encode()
        if len(message) > LONGEST:
            raise InvalidArgument(self.arguments[-1].name, "shorter")
        return message


MODE: Final = word("mode", {"standard": 0, "storage": 1, "range": 3, "performance": 4})
CURRENT: Final = whole("current", 1, 255)
TIMER_MODE: Final = word("timermode", {"plugin": 0, "timer": 1})
ACTION: Final = word("action", {"start": 11, "stop": 12})

LIST_FEATURES: Final = Kind(1)
SET_FEATURE: Final = Kind(2, (whole("feature", 0, 31), text("value", may_be_empty=True)))
LIST_PARAMETERS: Final = Kind(3)
SET_PARAMETER: Final = Kind(4, (whole("parameter", 0, 31), text("value", may_be_empty=True)))
RESET: Final = Kind(5)
TEXT: Final = Kind(7, (text("command"),))
SET_MODE: Final = Kind(10, (MODE,))
START_CHARGE: Final = Kind(11)
STOP_CHARGE: Final = Kind(12)
SET_CURRENT: Final = Kind(15, (CURRENT,))
SET_MODE_AND_CURRENT: Final = Kind(16, (MODE, CURRENT))
SET_TIMER: Final = Kind(17, (TIMER_MODE, START_TIME))
WAKE_UP: Final = Kind(18)
LOCK: Final = Kind(20, (PIN,))
VALET: Final = Kind(21, (PIN,))
UNLOCK: Final = Kind(22, (PIN,))
NO_VALET: Final = Kind(23, (PIN,))
HOME_LINK: Final = Kind(24, (whole("button", 0, 2),))
COOL_DOWN: Final = Kind(25)
CLIMATE_ON: Final = Kind(26, fixed=("1",))
CLIMATE_OFF: Final = Kind(26, fixed=("0",))
SMS: Final = Kind(40, (PHONE, text("message")))
USSD: Final = Kind(41, (text("code"),))
AT: Final = Kind(49, (text("command"),))

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
