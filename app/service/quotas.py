"""How much each caller may do: requests, live streams, audio and bytes, per key and per address. Called by the guards of the routes.

Windows are fixed and aligned to the epoch, so a minute is the clock's minute and all servers mean the same one. A refused request is not counted in
longer windows. A key is its owner: two keys of one rotation share their limits. An IPv6 address is its /64. Programs on this machine, when no keys
are configured, are held to the older contract's limits only.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from app.core.errors import LimitsUnavailable, QuotaExceeded, RateLimited, VoxproofError
from app.service.access import LOCAL, Principal
from app.service.addresses import block_of, is_loopback, parsed
from app.service.counting import Counting
from app.settings import Settings
from app.store.counters import MemoryCounters, RedisCounters

MINUTE, HOUR, DAY = 60, 3600, 86_400
WINDOWS = {MINUTE: "minute", HOUR: "hour", DAY: "day"}
GRACE_S = 10  # a count outlives its window by this, for servers whose clocks differ a little
PLACE_S, RENEW_S = 30, 10.0  # a killed server's streams are forgotten after PLACE_S
STEP_MS, STEP_BYTES = 5000, 1 << 20  # a live stream is counted in such steps
E = TypeVar("E", bound=VoxproofError)
EXPOSED = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit", "RateLimit-Policy", "Retry-After")  # to pages, by CORS


@dataclass(frozen=True)
class Limit:
    """At most `settings.<setting>` in each window; 0 is no limit. `name` is what the RateLimit fields call it."""

    name: str
    setting: str
    by: Literal["key", "address"]
    seconds: int
    of: str = "requests"


@dataclass(frozen=True)
class Allowance:
    """The limits of a route, asked in this order; X-RateLimit-* describe the first of a key unless another is used up."""

    limits: tuple[Limit, ...]
    local: bool = False  # it holds for programs on this machine too, each address for itself
    ietf: bool = True  # the RateLimit fields are sent too


ADDRESS_REQUESTS = Limit("address", "address_requests_per_minute", "address", MINUTE)
ALLOWANCES: dict[str, Allowance] = {
    "requests": Allowance((ADDRESS_REQUESTS, Limit("key", "key_requests_per_minute", "key", MINUTE))),
    "detect": Allowance(
        (
            ADDRESS_REQUESTS,
            Limit("detect-minute", "detect_requests_per_minute", "key", MINUTE),
            Limit("detect-hour", "detect_requests_per_hour", "key", HOUR),
        ),
        local=True,
        ietf=False,
    ),
}
AUDIO = (
    Limit("address-audio", "address_audio_seconds_per_day", "address", DAY, "seconds of audio"),
    Limit("key-audio", "key_audio_seconds_per_day", "key", DAY, "seconds of audio"),
)
BYTES = (
    Limit("address-bytes", "address_bytes_per_day", "address", DAY, "bytes"),
    Limit("key-bytes", "key_bytes_per_day", "key", DAY, "bytes"),
)
STREAMS = (("address_streams", "address"), ("key_streams", "key"))


@dataclass(frozen=True)
class Standing:
    """Where a caller stands with its limits. `headers` is what the answer says about it, whatever else it says; `check` raises the refusal."""

    headers: Mapping[str, str] = field(default_factory=dict)
    refusal: RateLimited | None = None

    def check(self) -> None:
        if self.refusal is not None:
            raise self.refusal


@dataclass(frozen=True)
class _Count:
    limit: Limit
    most: int
    count: int
    reset: int  # end of the window, seconds since the epoch

    @property
    def left(self) -> int:
        return max(0, self.most - self.count)


class Quotas:
    def __init__(self, settings: Settings, counting: Counting | None = None, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._clock = settings, clock
        self._counting = counting or _counting(settings)
        self._held: Counter[tuple[str, str]] = Counter()
        self.refusals: Counter[str] = Counter()  # by the setting that refused

    @property
    def store_failures(self) -> int:
        return self._counting.failures

    async def close(self) -> None:
        await self._counting.close()

    async def request(self, principal: Principal, allowance: str) -> Standing:
        """Counts one request. Raises LimitsUnavailable; a refusal is in the standing."""
        rule, local = ALLOWANCES[allowance], is_local(principal)
        if local and not rule.local:
            return Standing()
        return await self._count(rule.limits, principal, ietf=rule.ietf)

    async def stranger(self, address: str, allowance: str) -> Standing:
        """Counts a request that was not admitted: against its address only."""
        return await self._count((ADDRESS_REQUESTS,), Principal(owner="", address=address), ietf=ALLOWANCES[allowance].ietf)

    async def require(self, principal: Principal) -> None:
        """Raises QuotaExceeded when the day's audio or bytes are used up."""
        if not is_local(principal):
            await self._spend(principal, 0, 0)

    async def spend(self, principal: Principal, *, audio_ms: int, size_bytes: int) -> None:
        """Counts a file that was judged. It was begun within the quota, so it is never refused afterwards."""
        if not is_local(principal):
            with suppress(QuotaExceeded, LimitsUnavailable):
                await self._spend(principal, audio_ms, size_bytes)

    @asynccontextmanager
    async def stream(self, principal: Principal, holder: str) -> AsyncIterator[Meter]:
        """A place for a live stream, and what counts its audio. Raises RateLimited and QuotaExceeded.

        `holder` is the session's id: a session that is resumed keeps its place.
        """
        if is_local(principal):
            yield Meter(None, principal)
            return
        (await self.request(principal, "requests")).check()
        await self.require(principal)
        async with AsyncExitStack() as stack:
            for setting, by in STREAMS:
                if most := int(getattr(self._settings, setting)):
                    await stack.enter_async_context(self._place(setting, by, _who(by, principal), most, holder))
            meter = Meter(self, principal)
            try:
                yield meter
            finally:
                await meter.close()

    @asynccontextmanager
    async def _place(self, setting: str, by: str, who: str, most: int, holder: str) -> AsyncIterator[None]:
        key = f"streams:{who}"
        if not await self._counting.take(key, holder, most, PLACE_S):
            self.refusals[setting] += 1
            text = f"This {by} has {most} live streams open, which is its limit."
            raise RateLimited(text, retry_after_ms=self._settings.retry_after_ms)
        self._held[key, holder] += 1
        keeper = asyncio.create_task(self._keep(key, holder), name="stream place") if self._counting.shared else None
        try:
            yield
        finally:
            if keeper is not None:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)
            self._held[key, holder] -= 1
            if not self._held[key, holder]:  # another connection may have taken the session over
                del self._held[key, holder]
                await self._counting.leave(key, holder)

    async def _keep(self, key: str, holder: str) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            await self._counting.keep(key, holder, PLACE_S)

    async def _count(self, limits: tuple[Limit, ...], principal: Principal, *, ietf: bool) -> Standing:
        now, counts, refused = self._clock(), list[_Count](), False
        for limit in limits:
            most = self._most(limit, principal)
            if not most:
                continue
            key, reset = _window(limit, _who(limit.by, principal), now)
            count = await (self._counting.get(key) if refused else self._counting.add(key, 1, limit.seconds + GRACE_S))
            counts.append(_Count(limit, most, count, reset))
            if count > most and not refused:
                refused = True
                self.refusals[limit.setting] += 1
        if not counts:
            return Standing()
        refusal = _refusal(RateLimited, max((c for c in counts if not c.left), key=lambda c: c.reset), now) if refused else None
        return Standing(_headers(counts, now, ietf=ietf), refusal)

    async def _spend(self, principal: Principal, audio_ms: int, size_bytes: int) -> None:
        """Adds to the day's counts, or only looks at them when there is nothing to add. Raises QuotaExceeded when one is full."""
        now, full = self._clock(), list[_Count]()
        for limits, by, unit in ((AUDIO, audio_ms, 1000), (BYTES, size_bytes, 1)):
            for limit in limits:
                if most := self._most(limit, principal):
                    key, reset = _window(limit, _who(limit.by, principal), now)
                    count = await (self._counting.add(key, by, limit.seconds + GRACE_S) if by else self._counting.get(key))
                    if count >= most * unit + bool(by):  # what fills it exactly is fine, but nothing more is begun
                        full.append(_Count(limit, most, most, reset))
        if full:
            self.refusals[full[-1].limit.setting] += 1
            raise _refusal(QuotaExceeded, full[-1], now)

    def _most(self, limit: Limit, principal: Principal) -> int:
        if limit.by == "key" and principal.key_id is None and not is_local(principal):
            return 0
        if limit.by == "address" and is_local(principal):
            return 0
        return int(getattr(self._settings, limit.setting))


class Meter:
    """What one live stream uses, counted in steps: `if meter.heard(...): await meter.count()`. QuotaExceeded once the day's is used up."""

    def __init__(self, quotas: Quotas | None, principal: Principal) -> None:
        self._quotas, self._principal = quotas, principal
        self._audio_ms = self._bytes = 0

    def heard(self, audio_ms: int, size_bytes: int) -> bool:
        """Whether it is time to `count`."""
        self._audio_ms += audio_ms
        self._bytes += size_bytes
        return self._audio_ms >= STEP_MS or self._bytes >= STEP_BYTES

    async def close(self) -> None:
        with suppress(QuotaExceeded):  # it is over: nobody is left to be told
            await self.count()

    async def count(self) -> None:
        audio_ms, size_bytes = self._audio_ms, self._bytes
        self._audio_ms = self._bytes = 0
        if self._quotas is None or not (audio_ms or size_bytes):
            return
        with suppress(LimitsUnavailable):  # no call ends because of our store
            await self._quotas._spend(self._principal, audio_ms, size_bytes)


def is_local(principal: Principal) -> bool:
    """A program on this machine, admitted because no keys are configured."""
    return principal.key_id is None and principal.owner == LOCAL and (not parsed(principal.address) or is_loopback(principal.address))


def _counting(settings: Settings) -> Counting:
    shared = RedisCounters(settings.redis_url, settings.redis_timeout_seconds) if settings.redis_url else None
    return Counting(MemoryCounters(), shared, refuse=settings.limits_when_store_fails == "refuse")


def _who(by: str, principal: Principal) -> str:
    if by == "key" and not is_local(principal):
        return f"key:{principal.owner}"
    return f"address:{block_of(principal.address)}"


def _window(limit: Limit, who: str, now: float) -> tuple[str, int]:
    """The key of the count, and when its window ends."""
    index = math.floor(now / limit.seconds)
    return f"{limit.name}:{who}:{index}", (index + 1) * limit.seconds


def _headers(counts: list[_Count], now: float, *, ietf: bool) -> dict[str, str]:
    used_up = [c for c in counts if not c.left]
    shown = max(used_up, key=lambda c: c.reset) if used_up else next((c for c in counts if c.limit.by == "key"), counts[0])
    headers = {"X-RateLimit-Limit": str(shown.most), "X-RateLimit-Remaining": str(shown.left), "X-RateLimit-Reset": str(shown.reset)}
    if ietf:
        headers["RateLimit-Policy"] = ", ".join(f'"{c.limit.name}";q={c.most};w={c.limit.seconds}' for c in counts)
        headers["RateLimit"] = ", ".join(f'"{c.limit.name}";r={c.left};t={math.ceil(c.reset - now)}' for c in counts)
    return headers


def _refusal(kind: type[E], count: _Count, now: float) -> E:
    limit = count.limit
    text = f"This {limit.by} has used its {count.most} {limit.of} of this {WINDOWS[limit.seconds]}; try again later."
    return kind(text, retry_after_ms=math.ceil((count.reset - now) * 1000))
