"""Messages that no car has sent, from which the examples in the document are rendered."""

from collections.abc import Iterable, Mapping
from typing import Final

from ovms.db.state import Message

TEXTS: Final[Mapping[str, str]] = {
    "S": "62.5,K,231,15,charging,standard,251,228,16,41,0,27,4,4,0,0,0,0,158.90,142,60,0,80,0,0,0,0,140,60,402,2,3.4,"
    "391.2,97.5,3.6,94.4,-8.7,38,2.9,812.6,63.4,0",
    "D": "84,8,5,31,28,19,812,481527,0,5400,14,2,1,1,12.9,0,12.6,16,27,0.8,17",
    "L": "48.208493,16.373118,92,171,1,1,0,812,0,-3.4,2140,310,-3.4,91.5",
    "Y": "4,fl,fr,rl,rr,4,251,249.5,262,260,1,4,18,19,17,17,1,4,100,100,98,99,1,4,0,0,0,0,1",
    "W": "36.2,19,37.7,17,36.4,18,38.0,17,1",
    "F": "3.3.005,WDC00000000000001,23,1,VWEG,Hologram,12000,1796083200,OVMS v3.1,LTE",
}
SENT_AT: Final = 1_795_374_743
READ_AT: Final = SENT_AT + 4


def messages(codes: Iterable[str]) -> list[Message]:
    """The messages of these codes."""
    return [Message(code, TEXTS[code].encode(), SENT_AT, paranoid=False, paranoid_token="") for code in codes]
