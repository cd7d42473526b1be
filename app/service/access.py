"""Who asks, and whether they may. A transport gathers a `Caller` from a request; `Access.admit` makes a `Principal` of it or refuses.

With no keys configured only loopback peers are served, and only requests that no proxy and no foreign page has touched; with keys, everything
but the open routes needs one. Called for each request and each socket, before anything else; `Access.still` again while a socket lives.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeVar, get_args
from urllib.parse import urlsplit

from app.core.errors import AuthorisationExpired, ForeignOrigin, LocalOnly, PeerError, ScopeMissing, StoreUnavailable, Unauthorized
from app.service.addresses import block_of, host_name, is_loopback
from app.service.failures import Failures
from app.service.keys import ENVIRONMENT, GUESSABLE_CHARACTERS, Key, KeyRing, hash_of, is_key, looks_like_key, prefix_of
from app.service.tokens import TOKEN_SCOPES, Claims, Tokens, looks_like_token
from app.store.cache import Cache

Scope = Literal["detect", "stream", "tasks", "enroll", "reports", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
Need = Scope | Literal["any"] | None  # "any": whoever is admitted, whatever its scopes; None: open to all

LOCAL = "local"
MAX_SECRET_CHARACTERS = 512
MAX_KNOWN = 10_000  # verified keys remembered; the longest unused goes first
LOOK_EVERY_S = 1.0  # how often a server without keys looks whether there are any now, and one under attack reads the keys anew

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """What a request says of its sender. Secrets stay in here: they are never logged."""

    address: str  # the peer's, or the client's as a trusted proxy names it
    forwarded: bool = False  # a proxy had it in its hands
    secret: str | None = None  # Bearer or X-API-Key
    token: str | None = None  # short-lived: subprotocol, query or start message
    host: str = ""  # as the client named it
    origin: str | None = None  # of the page that sent it; programs send none
    foreign: bool = False  # that is not this server's own page
    contradictory: bool = False  # it carries two different keys

    def __repr__(self) -> str:
        return f"Caller({self.address})"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who was admitted. `owner` is what stored things belong to; two keys of one rotation share it."""

    owner: str = LOCAL
    key_id: str | None = None
    scopes: frozenset[str] = frozenset(SCOPES)
    address: str = ""
    expires_at: float | None = None  # of the key, in seconds since the epoch; live streams end then
    by_token: bool = False  # opened with a short-lived token of that key

    def require(self, scope: Scope) -> None:
        """Raises ScopeMissing."""
        if scope not in self.scopes:
            raise ScopeMissing(f"This {'token' if self.by_token else 'key'} lacks the scope '{scope}'.")


def anybody(address: str) -> Principal:
    """Who asks for an open route: nobody was checked, so nothing belongs to them and nothing is allowed."""
    return Principal(owner="", scopes=frozenset(), address=address)


class Access:
    def __init__(
        self, keys: KeyRing, cache: Cache, *, host: str = "127.0.0.1", origins: Iterable[str] = (), max_failures: int = 30, cache_s: float = 5.0,
        clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`host` is what the server was told to listen on, `origins` are of pages it trusts beside its own (so their names are no stranger's);
        `cache_s` is how long a verified key is believed without asking again.
        """
        self._keys, self._origins = keys, frozenset(origins)
        self._names = {host.lower(), *(urlsplit(origin).hostname or "" for origin in self._origins)} - {""}
        self._failures, self._cache_s, self._clock, self._monotonic = Failures(cache, max_failures, clock), cache_s, clock, monotonic
        self._tokens = Tokens(keys.environment_signer, clock)
        self._known: dict[str, tuple[float, Key]] = {}  # by the hash of the secret, and by id for tokens
        self._served: dict[str, None] = {}  # addresses the key of the environment has let in
        self._active: tuple[float, dict[str, Key]] = (float("-inf"), {})  # by prefix and by id, for addresses beyond the limit
        self._reading = asyncio.Lock()
        self._noting: dict[str, asyncio.Future[None]] = {}
        self._required = keys.environment is not None
        self._looked_at = float("-inf")

    async def admit(self, caller: Caller, need: Need) -> Principal:
        """The principal behind a request. `None` is open to all, and nothing is checked.

        Raises LocalOnly, ForeignOrigin, Unauthorized, AuthorisationExpired, ScopeMissing, RateLimited (too many wrong keys from one address),
        PeerError (two different keys in one request), StoreUnavailable.
        """
        if need is None:
            return anybody(caller.address)
        if not (self._required or await self.required()):
            return self._local(caller)
        if caller.contradictory:
            raise PeerError("The request carries two different keys; send one.")
        if caller.secret is not None and not looks_like_token(caller.secret):
            key = await self._key(caller.secret, caller.address)
            principal = Principal(key.owner, key.id, key.scopes, caller.address, key.expires_at)
        elif (token := caller.token if caller.secret is None else caller.secret) is not None:
            key, claims = await self._token(token, caller.address)
            principal = Principal(key.owner, key.id, claims.scopes & key.scopes, caller.address, key.expires_at, by_token=True)
        else:
            raise Unauthorized("This needs a key: send it as 'Authorization: Bearer …' or 'X-API-Key: …'.")
        if need != "any":
            principal.require(need)
        return principal

    async def required(self) -> bool:
        """Whether keys are configured: one in the environment, or any in the database, also one that has ended. It never goes back to no."""
        now = self._monotonic()
        if not self._required and now - self._looked_at >= LOOK_EVERY_S:
            self._required = await self._keys.any()  # when that fails nobody is admitted
            self._looked_at = now
        return self._required

    async def still(self, principal: Principal) -> float | None:
        """When the key a live session was opened with will end, as it stands now; a token's end does not end its session.

        Raises AuthorisationExpired when it has ended.
        """
        if principal.key_id in (None, ENVIRONMENT):
            return None
        try:
            key = await self._by_id(principal.key_id)
        except StoreUnavailable:
            log.warning("the keys of live sessions could not be checked")  # again in a minute; nobody loses a call over it
            return principal.expires_at
        if key is None or key.revoked_at is not None:
            raise AuthorisationExpired("The key of this session was revoked.")
        if key.ended(self._clock()):
            raise AuthorisationExpired("The key of this session has expired.")
        return key.expires_at

    async def mint(self, principal: Principal, scopes: Collection[Scope] | None, seconds: float) -> tuple[str, int, frozenset[str]]:
        """A short-lived token with some of the principal's scopes (by default all a token may have), when it ends, and what it allows.

        Raises ScopeMissing.
        """
        if principal.by_token:
            raise ScopeMissing("A token cannot make another one; send the key.")
        for scope in scopes or ():
            principal.require(scope)
        granted = frozenset(scopes or principal.scopes) & frozenset(TOKEN_SCOPES)
        if not granted:
            raise ScopeMissing("This key has no scope that a token may have.")
        key = None if principal.key_id is None else await self._by_id(principal.key_id)
        return *await self._tokens.mint(key, granted, seconds), granted

    def _local(self, caller: Caller) -> Principal:
        """No keys: only this machine. A page in its browser may have been served by anybody, so its Host and Origin must be local too."""
        if not is_loopback(caller.address) or caller.forwarded:
            raise LocalOnly()
        if not self._is_own(caller.host):
            raise LocalOnly("No keys are configured, so ask by a name of this machine (localhost, 127.0.0.1) or of an allowed origin.")
        if caller.foreign and caller.origin not in self._origins:  # `*` is for servers with keys
            raise ForeignOrigin()
        return Principal(address=caller.address)

    def _is_own(self, host: str) -> bool:
        name = host_name(host)
        return name == "localhost" or name.endswith(".localhost") or is_loopback(name) or name in self._names

    # --- keys

    async def _key(self, secret: str, address: str) -> Key:
        if len(secret) > MAX_SECRET_CHARACTERS or not (secret.isascii() and secret.isprintable()):
            await self._failed(address, "This is no key: a key is a line of ASCII characters.")
        digest = hash_of(secret)
        now = self._monotonic()
        known = self._known.get(digest)
        if known is not None and now - known[0] < self._cache_s:
            key: Key | None = known[1]
        else:
            key = await self._verified(secret, digest, address)
            self._remember(digest, key, now)
        if key is None:
            await self._failed(address, Unauthorized.default_message)
        return await self._in_time(key, address)

    async def _verified(self, secret: str, digest: str, address: str) -> Key | None:
        """The key with this secret, if there is one; as much work for an unknown prefix as for a wrong secret."""
        refusal = await self._failures.refusal(address)
        environment = self._keys.environment
        if environment is not None:
            # Beyond the limit a word that could be guessed is only looked at from addresses it has let in before.
            seen = refusal is None or len(secret) >= GUESSABLE_CHARACTERS or block_of(address) in self._served
            if seen and hmac.compare_digest(digest, environment.hash):
                _keep(self._served, block_of(address), None)
                return environment
        key = None
        if is_key(secret):
            prefix = prefix_of(secret)
            known = refusal is None or digest in self._known
            key = await self._keys.by_prefix(prefix) if known else (await self._actives()).get(prefix)
        right = hmac.compare_digest(digest, key.hash if key else hash_of(""))
        if not right and refusal:
            raise refusal
        if not right or key is None:
            return None
        self._note(key)
        return key

    def _note(self, key: Key) -> None:
        """Its use, beside the request: that need not wait for a writer of the database."""
        if key.id not in self._noting:
            self._noting[key.id] = asyncio.ensure_future(self._keys.used(key))
            self._noting[key.id].add_done_callback(lambda done: self._noting.pop(key.id, None))

    async def close(self) -> None:
        """What is being noted is finished; the database must still be open."""
        await asyncio.gather(*self._noting.values(), return_exceptions=True)

    def _remember(self, name: str, key: Key | None, now: float) -> None:
        if key is None:
            self._known.pop(name, None)
        else:
            _keep(self._known, name, (now, key))

    async def _in_time(self, key: Key, address: str) -> Key:
        """Only whoever has the right secret learns that it has ended."""
        if key.revoked_at is not None:
            await self._failed(address, "This key was revoked.")
        if key.ended(self._clock()):
            await self._failed(address, "This key has expired.", expired=True)
        return key

    async def _by_id(self, key_id: str) -> Key | None:
        if key_id == ENVIRONMENT:
            return self._keys.environment
        now = self._monotonic()
        known = self._known.get(key_id)
        if known is not None and now - known[0] < self._cache_s:
            return known[1]
        key = await self._keys.by_id(key_id)
        self._remember(key_id, key, now)
        return key

    # --- tokens

    async def _token(self, token: str, address: str) -> tuple[Key, Claims]:
        if looks_like_key(token):
            raise Unauthorized("This is a key, not a token: addresses are written down everywhere, so make a token of it with POST /v1/tokens.")
        claims = self._tokens.read(token)
        refusal = await self._failures.refusal(address)
        key = None
        if claims is not None:
            known = refusal is None or claims.key_id in self._known
            key = await self._by_id(claims.key_id) if known else (await self._actives()).get(claims.key_id)
        if claims is None or key is None or not await self._tokens.signed(claims, key):
            if refusal:
                raise refusal
            await self._failed(address, "The token is not valid.")
        if claims.expires_at <= self._clock():
            raise AuthorisationExpired("The token has expired.")  # an honest client that was slow: not counted
        return await self._in_time(key, address), claims

    async def _failed(self, address: str, message: str, *, expired: bool = False) -> NoReturn:
        """Counts a failure, then says so."""
        if refusal := await self._failures.refusal(address):
            raise refusal
        await self._failures.count(address)
        raise (AuthorisationExpired if expired else Unauthorized)(message)

    async def _actives(self) -> dict[str, Key]:
        """All keys that are good now, read once a second at most however many wrong ones come."""
        async with self._reading:
            now = self._monotonic()
            if now - self._active[0] >= LOOK_EVERY_S:
                found = await self._keys.active()
                self._active = now, {name: key for key in found for name in (key.prefix, key.id)}
            return self._active[1]


V = TypeVar("V")


def _keep(kept: dict[str, V], name: str, value: V) -> None:
    """The last of `MAX_KNOWN`."""
    kept.pop(name, None)
    while len(kept) >= MAX_KNOWN:
        del kept[next(iter(kept))]
    kept[name] = value
