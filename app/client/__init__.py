"""Client side of the wire protocol. Stands on `app.core.wire` and `app.core.errors` only."""
