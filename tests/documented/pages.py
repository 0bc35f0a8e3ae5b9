"""Every command of the Markdown pages: the lines of blocks, and what stands in backquotes in a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    path.relative_to(ROOT).as_posix() for pattern in ("*.md", "deploy/**/*.md", "docs/**/*.md") for path in ROOT.glob(pattern)
)
DATA: Final = frozenset({"ini", "python", "sql", "yaml"})
"""Languages of blocks that are no commands."""

_FENCE: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_SPAN: Final = re.compile(r"`([^`]+)`")
_ASSIGNMENTS: Final = re.compile(r"(?:[A-Z_][A-Z0-9_]*=\S* )+")
_COMMENT: Final = re.compile(r"(?:^| +)#.*$")
_HERE: Final = re.compile(r"<<'?(\w+)'?$")


@dataclass(frozen=True, slots=True)
class Command:
    """A command, with its lines joined and without comments."""

    text: str
    page: str
    section: str = ""
    """The heading that it stands under, where it is in a block."""

    @property
    def is_whole(self) -> bool:
        """Whether it is in a block; what is in a sentence may leave the rest out."""
        return bool(self.section)

    @property
    def program(self) -> str:
        """What it runs, without the folder."""
        return program_of(self.text)


def program_of(text: str) -> str:
    """The first word after assignments, without its folder."""
    return (_ASSIGNMENTS.sub("", text, count=1).split() or [""])[0].rpartition("/")[2]


def commands(known: AbstractSet[str]) -> list[Command]:
    """Of all pages, each text once a page; programs that are known are looked for in sentences and unmarked blocks too."""
    found = {(each.text, each.page, each.section): each for page in PAGES for each in commands_of(page, known)}
    return list(found.values())


def commands_of(page: str, known: AbstractSet[str]) -> Iterator[Command]:
    text = (ROOT / page).read_text()
    heading, begun = page, 0
    for block in _FENCE.finditer(text):
        heading = [heading, *re.findall(r"^#+ (.*)$", _sentences(text[begun : block.start()]), re.MULTILINE)][-1]
        begun = block.end()
        language, lines = block.groups()
        if language not in DATA:
            # A block without a language may be a picture.
            yield from (Command(line, page, heading) for line in joined(lines) if language or program_of(line) in known)
    sentences = _sentences(text)
    for line in re.findall(r"^ {4,}(\S.*)$", sentences, re.MULTILINE):
        if program_of(line) in known:
            yield Command(line, page, "an indented block")
    for span in _SPAN.findall(sentences):
        line = " ".join(span.split())
        if " " in line and program_of(line) in known:
            yield Command(line, page)


def _sentences(text: str) -> str:
    return _FENCE.sub("", text)


def joined(block: str) -> Iterator[str]:
    """The commands of a block: what a backslash joins or a here-document holds is one."""
    lines = iter(block.splitlines())
    for line in lines:
        whole = _COMMENT.sub("", line.strip())
        while whole.endswith("\\"):
            whole = whole[:-1].rstrip() + " " + _COMMENT.sub("", next(lines).strip())
        if here := _HERE.search(whole):
            while (more := next(lines).strip()) != here[1]:
                whole += "\n" + more
            whole += "\n" + here[1]
        if whole:
            yield whole


def blocks_under(page: str, heading: str) -> Iterator[str]:
    """Each block of commands under a heading of a page, up to the next one, as it stands there."""
    text = (ROOT / page).read_text()
    begin = re.search(rf"^#+ {re.escape(heading)}$", text, re.MULTILINE)
    assert begin, f"{page} has no {heading}"
    for block in _FENCE.finditer(text, begin.end()):
        if re.search("^#", _sentences(text[begin.end() : block.start()]), re.MULTILINE):
            return
        if block[1] == "sh":
            yield block[2]
