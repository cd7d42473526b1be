"""Short-lived tokens for browsers: made from a key, signed, checked without being stored. They gate opening only; a stream goes on after them.

    vpt_<base64url of {"k": key id, "e": seconds since the epoch, "s": scopes, "n": random}>.<base64url of an HMAC-SHA256>

The signing key is derived from the stored hash of the key that made the token, which is read anyway to see whether that key still lives: so every
process that shares the database, or the key of the environment, takes the token, there is no further secret to keep or to lose, and with a key
all its tokens end. Nothing is written when one is made, and nothing can be pushed out of a cache.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from app.service.keys import ENVIRONMENT, Key

MARK = "vpt_"
TOKEN_SCOPES = ("detect", "stream")  # what a page may be given
MIN_SECONDS, DEFAULT_SECONDS, MAX_SECONDS = 10, 60, 3600
MAX_CHARACTERS = 1024
_PURPOSE = b"voxproof.token.v1"


@dataclass(frozen=True)
class Claims:
    """What a token says. Nothing of it is true before `Tokens.signed` said so."""

    key_id: str
    expires_at: float
    scopes: frozenset[str]
    body: str
    mac: bytes

    def __repr__(self) -> str:
        return f"Claims({self.key_id})"


class Tokens:
    def __init__(self, environment_signer: Callable[[], Awaitable[bytes]], clock: Callable[[], float]) -> None:
        self._environment_signer, self._clock = environment_signer, clock

    async def mint(self, key: Key | None, scopes: Iterable[str], seconds: float) -> tuple[str, int]:
        """A token of that key (None: the local principal's, which nobody asks for) and when it ends."""
        expires_at = int(self._clock() + seconds)
        content = {"k": key.id if key else ENVIRONMENT, "e": expires_at, "s": sorted(scopes), "n": secrets.token_urlsafe(9)}
        body = packed(json.dumps(content, separators=(",", ":")).encode())
        return f"{MARK}{body}.{packed(await self._mac(body, key))}", expires_at

    def read(self, token: str) -> Claims | None:
        """What it says, or None when it is no token of ours in form."""
        body, dot, mac = token.removeprefix(MARK).partition(".")
        if len(token) > MAX_CHARACTERS or not token.startswith(MARK) or not dot:
            return None
        try:
            content: Any = json.loads(unpacked(body))
            key_id, expires_at, scopes = content["k"], content["e"], content["s"]
            if type(key_id) is not str or type(expires_at) is not int or type(scopes) is not list:
                return None
            if expires_at > self._clock() + MAX_SECONDS:  # whoever knows the signing key must not make one for ever
                return None
            return Claims(key_id, expires_at, frozenset(scopes) & frozenset(TOKEN_SCOPES), body, unpacked(mac))
        except (ValueError, TypeError, KeyError, RecursionError):
            return None

    async def signed(self, claims: Claims, key: Key) -> bool:
        """Whether this key made it."""
        return hmac.compare_digest(await self._mac(claims.body, key), claims.mac)

    async def _mac(self, body: str, key: Key | None) -> bytes:
        if key is None or key.id == ENVIRONMENT:
            signing = await self._environment_signer()
        else:
            signing = hmac.digest(bytes.fromhex(key.hash), _PURPOSE, hashlib.sha256)
        return hmac.digest(signing, body.encode(), hashlib.sha256)


def looks_like_token(text: str) -> bool:
    return text.startswith(MARK)


def packed(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpacked(text: str) -> bytes:
    """Strict base64url without padding, one text for one value. Raises ValueError."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError from exc
    if packed(data) != text:
        raise ValueError("not the shortest form")
    return data
