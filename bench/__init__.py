"""Measures the server from outside: `python -m bench`. Not part of the distribution; imports `app` only to time the detector itself."""
