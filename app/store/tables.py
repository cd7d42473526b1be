"""The tables, once. Alembic's migrations lead here; the rooms of `service` read and write them. After a change, and until the first release:
`python -m tests.unit.test_migrations` writes the one revision again (the test of that name compares).

Times are seconds since the epoch (float), ids are random text made by us, JSON is text: the same on SQLite and PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# A key is never stored, only a hash of it; `prefix` is its public beginning, by which it is found and named in lists.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("prefix", String(32), nullable=False, unique=True),
    Column("hash", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("last_used_at", Float),
)

# What sessions came to, where servers share this database and no Redis (`store.record_rows`); verdicts and hashes, no audio.
session_records = Table(
    "session_records",
    metadata,
    Column("key", String(80), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
)

# Suspicious-activity reports: confidential, so nothing points here from elsewhere and there is no foreign key to a session.
cases = Table(
    "cases",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("key_id", String(32)),  # of the key that filed it
    Column("session_id", String(128), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # the session's record as it was when the report was filed
    Column("audio", Text),  # what is known of the attached sound; its bytes are in the object store
    Column("fingerprint", String(64), nullable=False),  # of owner and content: the same report is the same case
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Index("ix_cases_owner_created_at_id", "owner", "created_at", "id"),
    Index("ix_cases_owner_session_id", "owner", "session_id"),
    Index("uq_cases_fingerprint", "fingerprint", unique=True),
)

# The Idempotency-Keys under which a case was filed (hashes of owner and key).
case_keys = Table(
    "case_keys",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("case_id", String(32), ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, index=True),
)

# Who filed, read or exported a case, and when.
case_events = Table(
    "case_events",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("case_id", String(32), ForeignKey("cases.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("action", String(16), nullable=False),
    Column("key_id", String(32)),
    Column("address", String(64), nullable=False),
    Column("detail", String(64), nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("failing_since", Float),  # of the first failure that no success has followed
    Column("last_status", Integer),  # of the last attempt; 0 when there was no answer
    Column("last_at", Float),
    Column("created_at", Float, nullable=False),
)

# One row an event and webhook: the outbox from which deliveries are made, again and again until one is taken or given up.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("webhook_id", String(32), ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("event_id", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float, nullable=False, index=True),
    Column("last_status", Integer),
    Column("created_at", Float, nullable=False),
)
