"""Who is admitted: without keys this machine, with keys who has one; over 300 lines because the cases share one clock and ring of keys."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import (
    AuthorisationExpired,
    ForeignOrigin,
    LocalOnly,
    PeerError,
    RateLimited,
    ScopeMissing,
    StoreUnavailable,
    Unauthorized,
    VoxproofError,
)
from app.service.access import LOCAL, SCOPES, Access, Caller, Need, Principal
from app.service.keys import ALPHABET, ENVIRONMENT, make_secret
from tests.rings import Door

HERE = Caller("127.0.0.1", host="127.0.0.1:8000")
THERE = Caller("203.0.113.9", host="voxproof.example")
WRONG = make_secret()


async def refusal(access: Access, caller: Caller, need: Need = "detect") -> type[VoxproofError] | None:
    try:
        await access.admit(caller, need)
    except VoxproofError as exc:
        return type(exc)
    return None


def with_key(secret: str, caller: Caller = THERE) -> Caller:
    return replace(caller, secret=secret)


# --- no keys


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"host": "localhost"}, None),
        ({"host": "LocalHost.:80"}, None),
        ({"host": "app.localhost:8000"}, None),
        ({"host": "[::1]:8000"}, None),
        ({"host": "127.8.8.8"}, None),
        ({"address": "::1"}, None),
        ({"address": "::ffff:127.0.0.1"}, None),
        ({"secret": "your_api_key_here"}, None),  # examples run as they are written
        ({"secret": "a", "contradictory": True}, None),
        ({"foreign": True, "origin": "https://mine.example"}, None),
        ({"host": "voxproof.internal:8000"}, None),  # what the server was told to listen on
        ({"address": "192.168.1.5"}, LocalOnly),
        ({"address": ""}, LocalOnly),
        ({"address": "::ffff:10.0.0.1"}, LocalOnly),
        ({"address": "127.0.0.1.evil.example"}, LocalOnly),
        ({"forwarded": True}, LocalOnly),
        ({"host": "evil.example"}, LocalOnly),
        ({"host": "localhost.evil.example"}, LocalOnly),
        ({"host": "evillocalhost"}, LocalOnly),
        ({"host": "127.0.0.1.nip.example"}, LocalOnly),
        ({"host": "192.168.1.5:8000"}, LocalOnly),
        ({"host": ""}, LocalOnly),
        ({"foreign": True, "origin": "https://evil.example"}, ForeignOrigin),
        ({"foreign": True, "origin": "null"}, ForeignOrigin),
    ],
)
async def test_without_keys_only_this_machine_and_nothing_between(changes: dict[str, Any], expected: type[VoxproofError] | None) -> None:
    access = Door(host="voxproof.internal", origins=["https://mine.example"]).access
    assert await refusal(access, replace(HERE, **changes)) is expected
    principal = await access.admit(replace(HERE, **changes), None)
    assert principal.scopes == frozenset() and principal.owner == "", "open routes check nobody and give nothing"


async def test_the_local_principal_may_do_everything() -> None:
    principal = await Door().access.admit(HERE, "admin")
    assert principal.owner == LOCAL and principal.scopes == set(SCOPES) and principal.key_id is None


async def test_a_new_key_counts_within_a_second_and_for_ever() -> None:
    door = Door()
    assert await refusal(door.access, HERE) is None
    secret = door.ring.add(expires_at=door.clock.now + 5)
    door.clock.now += 0.9
    assert await refusal(door.access, HERE) is None and door.ring.asked == 1, "it does not look at each request"
    door.clock.now += 0.2
    assert await refusal(door.access, HERE) is Unauthorized
    assert await refusal(door.access, with_key(secret)) is None
    door.clock.now += 60
    assert await refusal(door.access, with_key(secret)) is AuthorisationExpired
    door.ring.keys.clear()
    assert await refusal(door.access, HERE) is Unauthorized, "a server does not open up because its last key is gone"


async def test_nobody_is_let_in_while_the_keys_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door()

    async def down() -> bool:
        raise StoreUnavailable()

    monkeypatch.setattr(door.ring, "any", down)
    assert await refusal(door.access, HERE) is StoreUnavailable
    assert await refusal(door.access, HERE) is StoreUnavailable


# --- keys


async def test_a_key_admits_from_anywhere_as_its_owner() -> None:
    door = Door()
    secret = door.ring.add("detect", "stream", owner="acme")
    principal = await door.access.admit(with_key(secret), "detect")
    assert principal == Principal("acme", "key-0", frozenset({"detect", "stream"}), THERE.address)
    assert await refusal(door.access, with_key(secret), "any") is None
    assert await refusal(door.access, with_key(secret), "reports") is ScopeMissing
    assert await refusal(door.access, THERE) is Unauthorized
    assert await refusal(door.access, HERE) is Unauthorized, "keys are required on this machine too"
    assert await refusal(door.access, replace(with_key(secret), contradictory=True)) is PeerError


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 53), st.sampled_from(ALPHABET + "_ ~"))
def test_any_tampering_fails(at: int, letter: str) -> None:
    async def run() -> None:
        door = Door()
        secret = door.ring.add()
        assert await refusal(door.access, with_key(secret)) is None  # and is remembered
        changed = secret[:at] + letter + secret[at + 1 :]
        assert await refusal(door.access, with_key(changed)) is (None if changed == secret else Unauthorized)

    asyncio.run(run())


@pytest.mark.parametrize(
    "secret", ["", " ", "x", "k" * 100_000, "schlüssel", "a\x00b", "a\tb", "vp_", "vpt_", "vpt_x.y", "Bearer x", WRONG, WRONG + "\n"]
)
async def test_what_is_no_key_is_told_so(secret: str) -> None:
    door = Door()
    door.ring.add()
    with pytest.raises(Unauthorized) as refused:
        await door.access.admit(with_key(secret), "detect")
    assert len(refused.value.message) < 200 and (len(secret) < 6 or secret not in refused.value.message)


@pytest.mark.parametrize("need", SCOPES)
async def test_each_scope_opens_its_own_door(need: Need) -> None:
    door = Door()
    for scope in SCOPES:
        assert await refusal(door.access, with_key(door.ring.add(scope)), need) is (None if scope == need else ScopeMissing)


async def test_the_end_of_a_key_to_the_moment() -> None:
    door = Door()
    secret = door.ring.add(expires_at=door.clock.now + 100)
    door.clock.now += 99.999
    principal = await door.access.admit(with_key(secret), "detect")
    assert principal.expires_at is not None
    door.clock.now = principal.expires_at
    assert await refusal(door.access, with_key(secret)) is AuthorisationExpired, "also while it is remembered"


async def test_a_verified_key_is_believed_for_seconds_and_a_revoked_one_ends_within_them() -> None:
    door = Door(cache_s=5.0)
    secret = door.ring.add()
    for _ in range(100):
        assert await refusal(door.access, with_key(secret)) is None
    assert door.ring.asked == 2, "once for `any`, once for the key"
    door.ring.change(secret, revoked_at=door.clock.now)
    door.clock.now += 4.9
    assert await refusal(door.access, with_key(secret)) is None
    door.clock.now += 0.1
    assert await refusal(door.access, with_key(secret)) is Unauthorized


async def test_the_key_of_the_environment() -> None:
    door = Door(environment="demo_key_12345")
    principal = await door.access.admit(with_key("demo_key_12345"), "enroll")
    assert (principal.owner, principal.key_id, principal.expires_at) == (ENVIRONMENT, ENVIRONMENT, None)
    assert await refusal(door.access, with_key("demo_key_12345"), "admin") is ScopeMissing
    assert await refusal(door.access, with_key("demo_key_1234")) is Unauthorized
    assert await refusal(door.access, HERE) is Unauthorized
    assert await refusal(door.access, with_key(door.ring.add())) is None, "beside those of the database"


# --- wrong keys


async def test_wrong_keys_are_counted_by_address_until_the_minute_ends() -> None:
    door = Door(max_failures=30)
    good = door.ring.add()
    door.clock.now += 10
    told = [await refusal(door.access, with_key(make_secret())) for _ in range(1000)]
    assert told == [Unauthorized] * 30 + [RateLimited] * 970
    asked = door.ring.asked
    with pytest.raises(RateLimited) as refused:
        await door.access.admit(with_key("nonsense"), "detect")
    assert refused.value.retry_after_ms == 50_000
    assert await refusal(door.access, with_key(WRONG, replace(THERE, address="203.0.113.10"))) is Unauthorized, "the neighbour is not meant"
    assert asked <= 34, "and the database is not asked for each"
    assert await refusal(door.access, with_key(good)) is None, "others may share the address"
    door.clock.now += 49.9
    assert await refusal(door.access, with_key(WRONG)) is RateLimited
    door.clock.now += 0.1
    assert await refusal(door.access, with_key(WRONG)) is Unauthorized


async def test_under_attack_revoked_keys_stay_out_and_new_ones_come_in() -> None:
    door = Door(max_failures=3)
    good, bad = door.ring.add(), door.ring.add()
    for _ in range(5):
        await refusal(door.access, with_key(make_secret()))
    assert await refusal(door.access, with_key(bad)) is None
    door.ring.change(bad, revoked_at=door.clock.now)
    door.clock.now += 6
    new = door.ring.add()
    assert await refusal(door.access, with_key(bad)) is RateLimited
    assert await refusal(door.access, with_key(good)) is None and await refusal(door.access, with_key(new)) is None


async def test_under_attack_the_keys_are_read_once_however_many_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(max_failures=1)
    door.ring.add()
    await refusal(door.access, with_key(WRONG))
    reads, read = 0, door.ring.active

    async def slow() -> Any:
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return await read()

    monkeypatch.setattr(door.ring, "active", slow)
    assert set(await asyncio.gather(*(refusal(door.access, with_key(make_secret())) for _ in range(50)))) == {RateLimited}
    assert reads == 1


async def test_a_word_as_a_key_is_protected_by_the_limit() -> None:
    """Guessing it must not become possible by trying on; who has used it from there is not locked out."""
    door = Door(environment="demo_key_12345", max_failures=3)
    known = replace(THERE, address="198.51.100.7")
    assert await refusal(door.access, with_key("demo_key_12345", known)) is None
    door.clock.now += 10  # no longer remembered as such
    for caller in (THERE, known):
        for _ in range(5):
            await refusal(door.access, with_key(make_secret(), caller))
    assert await refusal(door.access, with_key("demo_key_12345")) is RateLimited
    assert await refusal(door.access, with_key("demo_key_12345", known)) is None


async def test_a_subscribers_network_is_one_address() -> None:
    door = Door(max_failures=10)
    door.ring.add()
    callers = [Caller(f"2001:db8:1:2::{number:x}") for number in range(1, 12)]
    told = [await refusal(door.access, with_key(make_secret(), caller)) for caller in callers]
    assert told == [Unauthorized] * 10 + [RateLimited]
    assert await refusal(door.access, with_key(WRONG, Caller("2001:db8:1:3::1"))) is Unauthorized


async def test_missing_keys_and_missing_scopes_are_not_counted() -> None:
    door = Door(max_failures=2)
    secret = door.ring.add("detect")
    for _ in range(10):
        assert await refusal(door.access, THERE) is Unauthorized
        assert await refusal(door.access, with_key(secret), "admin") is ScopeMissing
    assert await refusal(door.access, with_key(WRONG)) is Unauthorized


async def test_counts_that_cannot_be_reached_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(max_failures=1)
    good = door.ring.add()

    async def down(*_: Any) -> Any:
        raise StoreUnavailable()

    monkeypatch.setattr(door.cache, "get", down)
    monkeypatch.setattr(door.cache, "increment", down)
    assert [await refusal(door.access, with_key(WRONG)) for _ in range(3)] == [Unauthorized] * 3
    assert await refusal(door.access, with_key(good)) is None


# --- live sessions


async def test_a_live_session_learns_of_the_end_of_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door(cache_s=5.0)
    secret = door.ring.add(expires_at=door.clock.now + 1000)
    principal = await door.access.admit(with_key(secret), "stream")
    assert await door.access.still(principal) == principal.expires_at
    door.ring.change(secret, expires_at=door.clock.now + 30)  # rotated meanwhile
    door.clock.now += 6
    assert await door.access.still(principal) == door.clock.now + 24
    door.clock.now += 24
    with pytest.raises(AuthorisationExpired):
        await door.access.still(principal)
    door.ring.change(secret, expires_at=door.clock.now + 1000, revoked_at=door.clock.now)
    door.clock.now += 6
    with pytest.raises(AuthorisationExpired):
        await door.access.still(principal)

    async def down(key_id: str) -> None:
        raise StoreUnavailable()

    monkeypatch.setattr(door.ring, "by_id", down)
    door.clock.now += 6
    assert await door.access.still(principal) == principal.expires_at, "nobody loses a call because the database is down"
    assert await door.access.still(Principal()) is None
