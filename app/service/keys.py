"""API keys: what one looks like, and the ring of those there are (the database's, and one of the environment). Used by `access` and `cli.keys`.

    vp_h3Vn0cYq7LZe_6dWqk…Xb2a9Qz    prefix (public: lists and logs may show it), 32 random characters (190 bits), 6 of a checksum

The checksum tells a mistyped key, and a scanner for leaked secrets what it has found. Only a SHA-256 is stored: slow hashes protect words that
people choose, and nobody guesses 190 bits from a fast one; it costs a microsecond at each request where a slow one would cost 50 ms.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import secrets
import string
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.core.errors import NotFound, PeerError, StoreUnavailable

if TYPE_CHECKING:
    from app.store.db import Database

ENVIRONMENT = "environment"  # id and owner of the key from the environment
DEFAULT_SCOPES = ("detect", "stream", "tasks", "enroll")  # `reports` and `admin` are only given to who asks for them

MARK = "vp_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PREFIX_CHARACTERS, SECRET_CHARACTERS, CHECK_CHARACTERS = 12, 32, 6
USED_EVERY_S = 60.0  # `last_used_at` is no finer than this, so that a request is not a write
MAX_ACTIVE = 5000  # read at once, for addresses that try many wrong keys
GUESSABLE_CHARACTERS = 20  # a shorter key of the environment is taken for a word somebody chose
_FORM = re.compile(rf"{MARK}[0-9A-Za-z]{{{PREFIX_CHARACTERS}}}_[0-9A-Za-z]{{{SECRET_CHARACTERS + CHECK_CHARACTERS}}}", re.ASCII)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    """A key without its secret. Times are seconds since the epoch."""

    id: str
    owner: str
    name: str
    prefix: str
    hash: str
    scopes: frozenset[str]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None

    def ended(self, now: float) -> bool:
        return self.revoked_at is not None or (self.expires_at is not None and now >= self.expires_at)

    def __repr__(self) -> str:
        return f"Key({self.id})"


@dataclass(frozen=True)
class NewKey:
    """`secret` is the whole key, seen here and never again."""

    secret: str
    key: Key

    def __repr__(self) -> str:
        return f"NewKey({self.key.id})"


# --- what a key looks like


def make_secret() -> str:
    """A new key's text."""
    body = f"{MARK}{_random(PREFIX_CHARACTERS)}_{_random(SECRET_CHARACTERS)}"
    return body + _checksum(body)


def is_key(text: str) -> bool:
    """Whether it is a key we might have made, letter by letter."""
    return bool(_FORM.fullmatch(text)) and _checksum(text[:-CHECK_CHARACTERS]) == text[-CHECK_CHARACTERS:]


def looks_like_key(text: str) -> bool:
    """Whether somebody took it for a key of ours."""
    return text.startswith(MARK)


def prefix_of(secret: str) -> str:
    """What lists and logs may show of it."""
    return secret[: len(MARK) + PREFIX_CHARACTERS]


def hash_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _random(count: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(count))


def _checksum(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        letters += ALPHABET[digit]
    return letters


# --- those there are


class KeyRing:
    """Every method but `create` and `rotate` leaves a database that was never made alone."""

    def __init__(self, database: Database, environment: str | None = None, clock: Callable[[], float] = time.time) -> None:
        """`environment` is a key of any form that needs no database; an empty one is none."""
        self._database, self._clock = database, clock
        self._signer = Signer(environment or secrets.token_hex(32))
        self.environment = environment_key(environment) if environment else None
        if environment and len(environment) < GUESSABLE_CHARACTERS:
            log.warning("the key from the environment is short: somebody may guess it; 'voxproof keys create' makes one that nobody can")

    async def any(self) -> bool:
        """Whether there is a key at all, also one that has ended: a server must not open up because its last key expired."""
        if self.environment is not None:
            return True
        if not self._database.exists():
            return False
        from app.store import keys

        return await keys.any_row(self._database)

    async def by_prefix(self, prefix: str) -> Key | None:
        if not self._database.exists():
            return None
        from app.store import keys

        return _key(await keys.by_prefix(self._database, prefix))

    async def by_id(self, key_id: str) -> Key | None:
        if not self._database.exists():
            return None
        from app.store import keys

        return _key(await keys.by_id(self._database, key_id))

    async def active(self) -> list[Key]:
        """Those that are good now, the newest `MAX_ACTIVE` of them."""
        if not self._database.exists():
            return []
        from app.store import keys

        return _keys(await keys.good(self._database, self._clock(), MAX_ACTIVE))

    async def every(self) -> list[Key]:
        """All of the database's, the oldest first."""
        if not self._database.exists():
            return []
        from app.store import keys

        return _keys(await keys.every(self._database))

    async def create(self, name: str, scopes: Iterable[str], *, owner: str | None = None, lifetime_s: float | None = None) -> NewKey:
        """A new key, of an owner of its own unless one is named."""
        from app.store import keys

        new = self._made(name, scopes, owner or f"owner-{secrets.token_hex(8)}", lifetime_s)
        await keys.add(self._database, _row(new.key))
        return new

    async def revoke(self, named: str) -> Key:
        """Ends a key, named by its id or prefix, for good. Raises NotFound."""
        found = await self._named(named)
        from app.store import keys

        await keys.revoke(self._database, found.id, self._clock())
        return await self._named(found.id)

    async def rotate(self, named: str, keep_s: float) -> tuple[NewKey, Key]:
        """A new key of the same owner, name, scopes and lifetime; the old one (returned second) goes on for `keep_s` at most.

        Raises NotFound, and PeerError for one that has ended: nobody would be kept going by it.
        """
        old = await self._named(named)
        now = self._clock()
        if old.ended(now):
            raise PeerError(f"The key {old.id} has ended already; create a new one.")
        from app.store import keys

        new = self._made(old.name, old.scopes, old.owner, None if old.expires_at is None else old.expires_at - old.created_at)
        await keys.replace(self._database, old.id, _row(new.key), now + keep_s)
        return new, await self._named(old.id)

    async def environment_signer(self) -> bytes:
        """What tokens of the environment's key are signed with."""
        return await self._signer.key()

    def _made(self, name: str, scopes: Iterable[str], owner: str, lifetime_s: float | None) -> NewKey:
        secret, now = make_secret(), self._clock()
        expires_at = None if lifetime_s is None else now + lifetime_s
        return NewKey(secret, Key(f"key-{secrets.token_hex(8)}", owner, name, prefix_of(secret), hash_of(secret), frozenset(scopes), now, expires_at))

    async def _named(self, named: str) -> Key:
        """By id, prefix, or the whole key, of which no message repeats more than the prefix."""
        key = await self.by_prefix(prefix_of(named)) if looks_like_key(named) else await self.by_id(named)
        if key is None:
            raise NotFound(f"There is no key {prefix_of(named)!r}; `voxproof keys list` shows those there are.")
        return key

    async def used(self, key: Key) -> None:
        """Notes that a key was used, now and then, and best effort: it must not be what a good request fails for."""
        now = self._clock()
        if key.id == ENVIRONMENT or now - (key.last_used_at or 0) < USED_EVERY_S:
            return
        from app.store import keys

        try:
            await keys.used(self._database, key.id, now)
        except StoreUnavailable:
            log.warning("the last use of key %s could not be noted", key.id)


def environment_key(secret: str) -> Key:
    return Key(ENVIRONMENT, ENVIRONMENT, ENVIRONMENT, "", hash_of(secret), frozenset(DEFAULT_SCOPES), 0.0)


class Signer:
    """A signing key from a secret that may be a word somebody chose: made slowly, for a token shows whoever holds it what to test guesses against."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._made: bytes | None = None

    async def key(self) -> bytes:
        if self._made is None:
            self._made = await asyncio.to_thread(hashlib.scrypt, self._secret, salt=b"voxproof.token.v1", n=1 << 14, r=8, p=1, dklen=32)
        return self._made


def _row(key: Key) -> dict[str, Any]:
    return {**vars(key), "scopes": " ".join(sorted(key.scopes))}


def _key(row: Any) -> Key | None:
    return None if row is None else Key(**{**row, "scopes": frozenset(row["scopes"].split())})


def _keys(rows: Iterable[Any]) -> list[Key]:
    return [key for row in rows if (key := _key(row))]
