"""Limits of requests: how many pass, what the headers say, who counts as one caller; over 300 lines because all share one clock.

The clock is the test's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import LimitsUnavailable, QuotaExceeded, RateLimited
from app.service.access import Principal
from app.service.counting import Counting
from app.service.quotas import DAY, HOUR, MINUTE, STEP_MS, Meter, Quotas
from app.settings import Settings
from app.store.counters import MemoryCounters, StoreFailed

NOON = 1_700_000_000 // HOUR * HOUR  # an hour begins
KEYED = Principal(owner="acme", key_id="k1", address="192.0.2.1")
HERE = Principal(address="127.0.0.1")


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def quotas(clock: Clock | None = None, **values: Any) -> Quotas:
    return Quotas(Settings(_env_file=None, **values), clock=clock or Clock())  # type: ignore[call-arg]


async def passes(of: Quotas, principal: Principal = KEYED, allowance: str = "requests", times: int = 1) -> int:
    return sum([(await of.request(principal, allowance)).refusal is None for _ in range(times)])


# --- requests -----------------------------------------------------------------------------------------------


async def test_the_last_one_passes_and_the_next_does_not_under_concurrency() -> None:
    of = quotas()
    standings = await asyncio.gather(*(of.request(KEYED, "detect") for _ in range(100)))
    assert sum(s.refusal is None for s in standings) == 60
    assert sorted(int(s.headers["X-RateLimit-Remaining"]) for s in standings) == [0] * 41 + list(range(1, 60))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.sampled_from(["a", "b"])), max_size=120),
    st.integers(1, 8),
    st.integers(1, 12),
    st.floats(0, HOUR),
)
def test_never_more_than_the_quota_passes_in_any_aligned_window(asked: list[tuple[float, str]], minute: int, hour: int, start: float) -> None:
    async def run() -> None:
        clock = Clock(NOON + start)
        of = quotas(clock, detect_requests_per_minute=minute, detect_requests_per_hour=hour)
        passed, tried = Counter[tuple[str, int, int]](), Counter[tuple[str, int, int]]()
        for wait, owner in asked:
            clock.now += wait
            good = await passes(of, Principal(owner=owner, key_id=owner, address="192.0.2.1"), "detect")
            windows = [(owner, size, int(clock.now // size)) for size in (MINUTE, HOUR)]
            if not good:  # there is a reason: one of the two is full
                assert passed[windows[0]] == minute or passed[windows[1]] == hour
            for window in windows:
                passed[window] += good
                tried[window] += 1
        for (_, size, _), count in passed.items():
            assert count <= (minute if size == MINUTE else hour)

    asyncio.run(run())


async def test_the_headers_describe_the_minute_until_the_hour_is_used_up() -> None:
    clock = Clock(NOON + 59.5 * MINUTE)
    of = quotas(clock, detect_requests_per_minute=3, detect_requests_per_hour=4)
    seen = []
    for now in (clock.now, clock.now, clock.now, clock.now, NOON + HOUR, NOON + HOUR + 61, NOON + HOUR + 62, NOON + HOUR + 63):
        clock.now = now
        standing = await of.request(KEYED, "detect")
        headers = standing.headers
        seen.append((*(int(headers[f"X-RateLimit-{name}"]) for name in ("Limit", "Remaining", "Reset")), standing.refusal is None))
    after = NOON + HOUR
    assert seen == [
        (3, 2, after, True), (3, 1, after, True), (3, 0, after, True), (3, 0, after, False),
        (3, 2, after + 60, True), (3, 2, after + 120, True), (3, 1, after + 120, True), (4, 0, after + HOUR, True),
    ]  # fmt: skip
    clock.now += 1
    refused = await of.request(KEYED, "detect")
    assert (refused.headers["X-RateLimit-Limit"], refused.headers["X-RateLimit-Reset"]) == ("4", str(after + HOUR))
    assert refused.refusal and refused.refusal.retry_after_ms == (after + HOUR - clock.now) * 1000
    assert "RateLimit" not in refused.headers  # the older contract knows three


async def test_a_refused_request_is_not_counted_in_the_hour() -> None:
    clock = Clock()
    of = quotas(clock, detect_requests_per_minute=2, detect_requests_per_hour=5)
    assert await passes(of, allowance="detect", times=50) == 2
    clock.now += MINUTE
    assert await passes(of, allowance="detect", times=50) == 2
    clock.now += MINUTE
    assert await passes(of, allowance="detect", times=50) == 1


async def test_native_answers_carry_both_kinds_of_fields() -> None:
    clock = Clock(NOON + 12.5)
    of = quotas(clock, key_requests_per_minute=2, address_requests_per_minute=10)
    first = (await of.request(KEYED, "requests")).headers
    assert dict(first) == {
        "X-RateLimit-Limit": "2", "X-RateLimit-Remaining": "1", "X-RateLimit-Reset": str(NOON + 60),
        "RateLimit-Policy": '"address";q=10;w=60, "key";q=2;w=60', "RateLimit": '"address";r=9;t=48, "key";r=1;t=48',
    }  # fmt: skip
    await of.request(KEYED, "requests")
    refused = await of.request(KEYED, "requests")
    assert refused.headers["RateLimit"] == '"address";r=7;t=48, "key";r=0;t=48'
    with pytest.raises(RateLimited, match=r"2 requests of this minute") as raised:
        refused.check()
    assert raised.value.retry_after_ms == 47_500
    assert of.refusals == {"key_requests_per_minute": 1}


async def test_keys_of_one_owner_share_and_owners_do_not() -> None:
    of = quotas(key_requests_per_minute=3)
    assert await passes(of, Principal(owner="acme", key_id="old", address="192.0.2.1"), times=2) == 2
    assert await passes(of, Principal(owner="acme", key_id="new", address="192.0.2.2"), times=2) == 1
    assert await passes(of, Principal(owner="other", key_id="x", address="192.0.2.1"), times=4) == 3


@pytest.mark.parametrize("owner", ["local", "environment"])
async def test_a_key_has_its_limits_whatever_its_owner_is_called(owner: str) -> None:
    of = quotas(key_requests_per_minute=3)
    assert await passes(of, Principal(owner=owner, key_id="k", address="192.0.2.1"), times=5) == 3


async def test_wrong_keys_count_against_the_address_only() -> None:
    of = quotas(address_requests_per_minute=3)
    assert [(await of.stranger("198.51.100.7", "requests")).refusal is None for _ in range(5)] == [True] * 3 + [False] * 2
    assert await passes(of, Principal(owner="acme", key_id="k", address="198.51.100.7")) == 0
    assert await passes(of) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
async def test_what_one_address_is(one: str, other: str, same: bool) -> None:
    of = quotas(address_requests_per_minute=1)
    await of.stranger(one, "requests")
    assert ((await of.stranger(other, "requests")).refusal is not None) is same


async def test_programs_on_this_machine_have_the_older_contracts_limits_only() -> None:
    of = quotas(key_requests_per_minute=1, address_requests_per_minute=1, key_audio_seconds_per_day=1, key_streams=1)
    assert await passes(of, HERE, times=100) == 100 and not (await of.request(HERE, "requests")).headers
    async with of.stream(HERE, "a") as meter, of.stream(HERE, "b"):
        assert meter.heard(10_000, 10)
        await meter.count()
    await of.require(HERE)
    assert await passes(of, HERE, "detect", times=61) == 60


async def test_zero_is_no_limit() -> None:
    of = quotas(key_requests_per_minute=0, address_requests_per_minute=0, key_streams=0, key_audio_seconds_per_day=0)
    assert await passes(of, times=2000) == 2000 and not (await of.request(KEYED, "requests")).headers


# --- audio, bytes, streams ----------------------------------------------------------------------------------


async def test_a_file_begun_within_the_quota_is_finished_and_the_next_waits_for_midnight() -> None:
    clock = Clock(NOON // DAY * DAY + DAY - 100.0)
    of = quotas(clock, key_audio_seconds_per_day=10)
    await of.spend(KEYED, audio_ms=9999, size_bytes=5)
    await of.require(KEYED)
    await of.spend(KEYED, audio_ms=60_000, size_bytes=5)
    with pytest.raises(QuotaExceeded) as raised:
        await of.require(KEYED)
    assert raised.value.retry_after_ms == 100_000 and "10 seconds of audio of this day" in raised.value.message
    clock.now += 100
    await of.require(KEYED)


async def test_bytes_have_a_quota_of_their_own_and_addresses_too() -> None:
    of = quotas(key_bytes_per_day=100)
    await of.spend(KEYED, audio_ms=0, size_bytes=100)
    with pytest.raises(QuotaExceeded, match="bytes"):
        await of.require(KEYED)
    of = quotas(address_audio_seconds_per_day=1)
    await of.spend(KEYED, audio_ms=1000, size_bytes=0)
    with pytest.raises(QuotaExceeded, match="address"):
        await of.require(Principal(owner="other", key_id="o", address=KEYED.address))


async def test_a_live_stream_ends_when_the_days_audio_is_used_up() -> None:
    of = quotas(key_audio_seconds_per_day=2 * STEP_MS // 1000)
    async with of.stream(KEYED, "s") as meter:
        assert not meter.heard(STEP_MS - 1, 10)
        assert meter.heard(1, 10)
        await meter.count()
        assert meter.heard(STEP_MS, 10)
        await meter.count()  # filled exactly
        meter.heard(STEP_MS, 10)
        with pytest.raises(QuotaExceeded):
            await meter.count()
    with pytest.raises(QuotaExceeded):
        async with of.stream(KEYED, "t"):
            pass
    assert of.refusals["key_audio_seconds_per_day"] == 2


async def test_what_was_heard_last_is_counted_at_the_end() -> None:
    of = quotas(key_audio_seconds_per_day=1)
    async with of.stream(KEYED, "s") as meter:
        assert not meter.heard(1500, 10)
    with pytest.raises(QuotaExceeded):
        await of.require(KEYED)


async def test_streams_at_once() -> None:
    of = quotas(key_streams=2, address_streams=3, retry_after_ms=700)
    other = Principal(owner="other", key_id="o", address=KEYED.address)
    async with of.stream(KEYED, "a"), of.stream(KEYED, "b"):
        with pytest.raises(RateLimited, match="2 live streams") as raised:
            async with of.stream(KEYED, "c"):
                pass
        assert raised.value.retry_after_ms == 700
        async with of.stream(other, "d"):
            with pytest.raises(RateLimited, match="address"):
                async with of.stream(other, "e"):
                    pass
        async with of.stream(KEYED, "a"):  # resumed: it keeps its place
            pass
        with pytest.raises(RateLimited):  # which the first connection still has
            async with of.stream(KEYED, "c"):
                pass
    async with of.stream(KEYED, "c"):
        pass


# --- a store that fails -------------------------------------------------------------------------------------


class Broken(MemoryCounters):
    asked = 0
    down = True

    async def add(self, key: str, by: int, ttl_s: int) -> int:
        self.asked += 1
        if self.down:
            raise StoreFailed("TimeoutError")
        return await super().add(key, by, ttl_s)

    async def take(self, key: str, holder: str, most: int, ttl_s: int) -> bool:
        raise StoreFailed("TimeoutError")


async def test_without_the_store_each_process_counts_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken()
    of = Quotas(Settings(key_requests_per_minute=5, key_streams=1), Counting(MemoryCounters(), broken), Clock())
    assert await passes(of, times=50) == 5
    async with of.stream(Principal(owner="other", key_id="o", address="192.0.2.9"), "a"):
        pass
    assert broken.asked == 1 == of.store_failures  # it is left alone for a second
    assert len(caplog.records) == 1 and "does not answer" in caplog.text


async def test_or_nobody_is_let_in() -> None:
    of = Quotas(Settings(), Counting(MemoryCounters(), Broken(), refuse=True), Clock())
    with pytest.raises(LimitsUnavailable) as raised:
        await of.request(KEYED, "requests")
    assert raised.value.retry_after_ms == 1000
    await of.spend(KEYED, audio_ms=1, size_bytes=1)  # but what was let in is finished
    meter = Meter(of, KEYED)
    meter.heard(1, 1)
    await meter.count()


async def test_the_store_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.service.counting.REST_S", 0.0)
    broken = Broken()
    of = Quotas(Settings(key_requests_per_minute=5), Counting(MemoryCounters(), broken), Clock())
    await of.request(KEYED, "requests")
    broken.down = False
    standing = await of.request(KEYED, "requests")
    assert standing.headers["X-RateLimit-Remaining"] == "4"


async def test_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.store.counters.SWEEP_S", 0.0)
    counters = MemoryCounters()
    for n in range(50):
        await counters.add(f"old{n}", 1, -1)
    await counters.add("new", 1, 60)
    assert counters._storage is not None and len(counters._storage.storage) == 1
