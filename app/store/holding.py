"""Entries of the cache that one server holds: stored behind the 16 bytes of the holder, and nobody else can change or delete them.

The scripts are what Redis runs in one step; `cache` registers them.
"""

from __future__ import annotations

from typing import NamedTuple

HOLDER_BYTES = 16

# KEYS[1], ARGV[1]: holder and value, ARGV[2]: ms to live
HOLD = """
local holder = redis.call('GETRANGE', KEYS[1], 0, 15)
if holder ~= '' and holder ~= string.sub(ARGV[1], 1, 16) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
# ARGV[1]: the new holder
SEIZE = """
local found = redis.call('GET', KEYS[1])
if found then
  redis.call('SETRANGE', KEYS[1], 0, ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return found
"""
LET_GO = """
if redis.call('GETRANGE', KEYS[1], 0, 15) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class Held(NamedTuple):
    holder: bytes
    value: bytes

    @classmethod
    def of(cls, found: bytes) -> Held:
        return cls(found[:HOLDER_BYTES], found[HOLDER_BYTES:])
