"""The commands that the car takes (manual, Commands); they act on the simulation only.

An answer is `c<number>,<result>,<text>` with the result 0 done, 1 failed, 2 not supported. Commands 1 and 3 answer once a
feature or parameter: `c1,0,<i>,<count>,<value>`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from simulator.controls import Controls
from simulator.journey import Journey
from simulator.telemetry import MODES

Act = Callable[[Controls, Journey, list[str]], str]
"""Does what is asked and returns the text of the answer; raises ValueError where it is asked something impossible."""


def answer(command: str, controls: Controls, journey: Journey) -> list[bytes]:
    """The messages that answer a command, given without its `C`."""
    number, *arguments = command.split(",")
    if number in LISTS:
        values = LISTS[number](controls)
        return [f"c{number},0,{place},{len(values)},{value}".encode() for place, value in enumerate(values)]
    if number not in ACTS:
        return [f"c{number},2".encode()]
    try:
        return [f"c{number},0,{ACTS[number](controls, journey, arguments)}".encode()]
    except (ValueError, LookupError):
        return [f"c{number},1,Invalid argument".encode()]


def _set_feature(controls: Controls, _: Journey, arguments: list[str]) -> str:
    controls.features[_place(arguments[0])] = arguments[1]
    return "Feature set"


def _set_parameter(controls: Controls, _: Journey, arguments: list[str]) -> str:
    controls.parameters[_place(arguments[0])] = arguments[1]
    return "Parameter set"


def _shell(_: Controls, __: Journey, arguments: list[str]) -> str:
    return f"The demo car heard: {','.join(arguments)}"


def _set_charge_mode(controls: Controls, _: Journey, arguments: list[str]) -> str:
    mode = int(arguments[0])
    if mode not in MODES:
        raise ValueError(mode)
    controls.charge_mode = mode
    return "Charge mode set"


def _set_charge_limit(controls: Controls, _: Journey, arguments: list[str]) -> str:
    limit = int(arguments[0])
    if not 1 <= limit <= 80:
        raise ValueError(limit)
    controls.charge_limit = limit
    return "Charge limit set"


def _set_mode_and_limit(controls: Controls, journey: Journey, arguments: list[str]) -> str:
    _set_charge_limit(controls, journey, arguments[1:])
    return _set_charge_mode(controls, journey, arguments)


def _set_timer(_: Controls, __: Journey, arguments: list[str]) -> str:
    if arguments[0] not in ("0", "1") or not 0 <= int(arguments[1]) < 24 * 60:
        raise ValueError(arguments)
    return "Charge timer set"


def _climate(_: Controls, __: Journey, arguments: list[str]) -> str:
    return {"0": "Climate control off", "1": "Climate control on"}[arguments[0]]


def _start_charge(_: Controls, journey: Journey, __: list[str]) -> str:
    journey.start_charging()
    return "Charge started"


def _stop_charge(_: Controls, journey: Journey, __: list[str]) -> str:
    journey.stop_charging()
    return "Charge stopped"


def _switch(name: str, setting: bool, text: str) -> Act:
    def switch(controls: Controls, _: Journey, __: list[str]) -> str:
        setattr(controls, name, setting)
        return text

    return switch


def _say(text: str) -> Act:
    return lambda _, __, ___: text


def _place(text: str) -> int:
    place = int(text)
    if place < 0:
        raise ValueError(place)
    return place


LISTS: Final[Mapping[str, Callable[[Controls], list[str]]]] = MappingProxyType(
    {"1": lambda controls: controls.features, "3": lambda controls: controls.parameters}
)

ACTS: Final[Mapping[str, Act]] = MappingProxyType(
    {
        "2": _set_feature,
        "4": _set_parameter,
        "5": _say("Module restarts"),
        "6": _say("Charge alert sent"),
        "7": _shell,
        "10": _set_charge_mode,
        "11": _start_charge,
        "12": _stop_charge,
        "15": _set_charge_limit,
        "16": _set_mode_and_limit,
        "17": _set_timer,
        "18": _say("Car is awake"),
        "19": _say("Temperatures are awake"),
        "20": _switch("locked", True, "Car locked"),
        "21": _switch("valet", True, "Valet mode on"),
        "22": _switch("locked", False, "Car unlocked"),
        "23": _switch("valet", False, "Valet mode off"),
        "24": _say("Home link pressed"),
        "25": _say("Cooldown started"),
        "26": _climate,
        "40": _say("SMS sent"),
        "41": _say("Code sent"),
        "49": _say("OK"),
    }
)
