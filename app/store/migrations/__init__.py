"""Alembic's folder: one file a revision under `versions/`. `store.migrate` runs them; `store.tables` is what they lead to."""
