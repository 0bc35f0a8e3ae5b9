"""Alembic asks this module to run: on the connection, and in the transaction, that `ovms.db.migrate` opened."""

from alembic import context

from ovms.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
