"""Every statement that is built when a module is imported, given to a real PostgreSQL."""

import gc
import importlib
import pkgutil

import asyncpg

import ovms.db
import ovms.db.reference
from ovms.db.engine import Pool
from ovms.db.rotation import COLUMNS
from ovms.db.statement import Statement


def statements() -> list[Statement]:
    for folder, prefix in ((ovms.db, "ovms.db."), (ovms.db.reference, "ovms.db.reference.")):
        for module in pkgutil.iter_modules(folder.__path__, prefix):
            importlib.import_module(module.name)
    sealed = [statement for column in COLUMNS for statement in (column.next, column.put, column.count)]
    return [*sealed, *(one for one in gc.get_objects() if isinstance(one, Statement) and one not in sealed)]


async def test_postgresql_takes_every_statement_and_infers_the_types_of_its_parameters(pool: Pool) -> None:
    found = statements()
    assert len(found) > 100
    refused = {}
    async with pool.acquire() as connection:
        for statement in found:
            try:
                prepared = await connection.prepare(statement.sql)
            except asyncpg.PostgresError as error:
                refused[statement.sql] = str(error)
            else:
                assert len(prepared.get_parameters()) == len(statement.parameters)
    assert refused == {}
