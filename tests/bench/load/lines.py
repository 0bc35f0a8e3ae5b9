"""What the cars of a run send: rounds of eight messages of eight codes, as long as real ones, each unlike all others."""

from collections.abc import Sequence
from typing import Final

_STATE: Final = (
    b"S75.5,K,230,16,charging,standard,280,251,16,93,0,43,3,1,0,0,0,0,160.25,200,120,0,90,-1,0,0,120,0,95,310,0,"
    b"3.6,398.5,98.5,3.7,97.2,-9.1,22,4.3,4.5,1203.4,%d"
)
TEMPLATES: Final = (
    _STATE,
    b"D213,216,4,45,40,22,1234,456789,88,0,21,1,1,1,12.84,0,12.7,16,33,1.25,%d",
    b"L47.226612,8.817605,124,408,1,1,88.2,1234,1,-3.62,12.031,3.207,7.5,93,AA,9,1.1,87.4,%d",
    b"Y4,fl,fr,rl,rr,4,250,251.5,240,241,1,4,30,31,29,28,1,4,98,98,97,96,1,4,0,0,0,0,1,4,0,1,2,3,%d",
    b"W31.2,22,32.1,23,30.9,24,31.7,25,%d",
    b"F3.3.004-12-g1a2b3c/ota_0/edge,WVWZZZAUZFW000001,23,1,VWEG,Hologram,12000,1795374743,OVMS v3.1,%d",
    b"VC1-6,C10-12,C15-24,C40-41,C%d",
    b"X1,1,230.5,16.2,3.7,93,ccs,exporting,onrequest,standard,16,120,30,1.2,1.1,45.7,1200,0,0,95,60,45,31,%d",
)
CODES: Final = len(TEMPLATES)


def rounds_of(car: int, rounds: int) -> list[list[bytes]]:
    """The messages of a car, round by round."""
    return [[template % (car * 10_000 + number) for template in TEMPLATES] for number in range(1, rounds + 1)]


def by_code(messages: Sequence[bytes]) -> dict[str, bytes]:
    """What must be stored of these messages: the data of each code."""
    return {chr(message[0]): message[1:] for message in messages}
