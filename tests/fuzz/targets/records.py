"""Every record: any text decodes, and what is encoded of it is the same from then on.

The first encoding may differ from the text: it has tenths where the wire wants whole tenths, and no line feeds.
"""

from ovms.records import RECORDS, decode, encode

CLASSES = tuple(RECORDS.values())


def check(data: bytes) -> None:
    if not data:
        return
    cls = RECORDS.get(chr(data[0])) or CLASSES[data[0] % len(CLASSES)]
    text = encode(decode(cls, data[1:].decode("utf-8", "replace")))
    assert "\n" not in text
    assert encode(decode(cls, text)) == text
