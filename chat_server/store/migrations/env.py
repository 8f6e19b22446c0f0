"""Runs the migrations on the connection that `engine.migrate` hands over, which holds the lock and the transaction."""

from alembic import context

from chat_server.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
