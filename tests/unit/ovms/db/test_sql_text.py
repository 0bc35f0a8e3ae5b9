"""Statements are built from `ovms.db.tables`, where a wrong column fails at import: those that are SQL text have a reason."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import ovms.db

FOLDER: Final = Path(ovms.db.__file__).parent
SQL: Final = re.compile(
    r"\b(SELECT|INSERT INTO|DELETE FROM|UPDATE \w+( AS \w+)? SET|LOCK TABLE|(CREATE|DROP|ALTER) TABLE|SET LOCAL|TRUNCATE)\b"
)
INTERVAL: Final = re.compile(r"interval '1 (second|minute|hour|day)'")

AS_TEXT: Final = {
    "writer": "hot: what cars send",
    "logins": "hot: logins of cars and apps",
    "state": "hot: reads of state over HTTP",
    "accounts.STANDS": "hot: a part of the statements that read state",
    "accounts._ASKED": "hot: whether the credentials of event streams still stand",
    "partitions": "partitions are tables that the metadata does not have, and most of it is DDL",
    "schema._REVISION": "a table of Alembic",
    "reference.source": "MySQL",
    "reference.taking._MESSAGES": "arrays of many rows, as in the writer",
    "reference.taking._HISTORY": "arrays of many rows, as in the writer",
    "audit._RECORD_COMMANDS": "arrays of many rows, as in the writer",
    "traffic._ADD": "arrays of many rows, as in the writer",
    "push._TAKE": "ten steps, and what each locks and counts is read as SQL",
}


def texts(tree: ast.AST) -> Iterator[str]:
    """All literal strings that are not docstrings."""
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.value


def names(node: ast.stmt) -> str:
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.target)
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0])
    return getattr(node, "name", type(node).__name__)


def find(source: str, module: str) -> Iterator[str]:
    """The names of what holds SQL as text; of a module that is listed as a whole, its own."""
    for node in ast.parse(source).body:
        if any(SQL.search(INTERVAL.sub("", text)) for text in texts(node)):
            yield module if module in AS_TEXT else f"{module}.{names(node)}"


def test_sql_text_is_found() -> None:
    source = '''
"""SELECT"""
_A: Final = "SELECT 1"
async def f():
    """UPDATE a SET"""
    await g(f"DELETE FROM {a}")
b = "delete"
'''
    assert list(find(source, "here")) == ["here._A", "here.f"]


def test_only_hot_statements_and_those_with_a_reason_are_sql_text() -> None:
    found = set[str]()
    for path in FOLDER.rglob("*.py"):
        module = ".".join(path.relative_to(FOLDER).with_suffix("").parts)
        if not module.startswith("migrations."):
            found |= set(find(path.read_text(), module))
    assert found == set(AS_TEXT)
