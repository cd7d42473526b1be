"""Adapters to what outlives a request: SQL, Redis, objects. Vendors are imported where they are used, so that a server starts quickly."""
