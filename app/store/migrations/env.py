"""Read by Alembic for every command: runs the revisions on the connection `store.migrate` gives, inside its transaction and lock."""

from alembic import context

from app.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
