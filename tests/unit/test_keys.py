"""What a key looks like, and what the ring does with the database: the hash alone is stored, rotation keeps the owner, an end is an end."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.errors import NotFound, PeerError
from app.service.keys import ALPHABET, DEFAULT_SCOPES, KeyRing, environment_key, hash_of, is_key, make_secret, prefix_of
from app.store.db import Database
from tests.rings import NOON, Clock

SECRET = make_secret()


def test_keys_are_ours_and_never_twice() -> None:
    made = {make_secret() for _ in range(200)}
    assert len(made) == len({prefix_of(secret) for secret in made}) == 200
    assert all(is_key(secret) and len(secret) == 54 and secret.isascii() for secret in made)


@given(st.integers(0, len(SECRET) - 1), st.sampled_from(ALPHABET + "_- é\n\0"))
def test_a_changed_letter_is_noticed(at: int, letter: str) -> None:
    assume(SECRET[at] != letter)
    changed = SECRET[:at] + letter + SECRET[at + 1 :]
    assert not is_key(changed) and hash_of(changed) != hash_of(SECRET)


@given(st.text(max_size=80))
def test_other_text_is_no_key(text: str) -> None:
    assert not is_key(text) and is_key(SECRET + text[:1]) is not bool(text)


def test_secrets_are_not_shown_by_accident() -> None:
    assert SECRET not in repr(environment_key(SECRET)) and hash_of(SECRET) not in repr(environment_key(SECRET))


# --- the ring, with a database


@pytest.fixture
async def ring(tmp_path: Path):  # type: ignore[no-untyped-def]
    database = Database(None, tmp_path / "data")
    yield KeyRing(database, clock=Clock())
    await database.close()


async def test_asking_makes_no_database(ring: KeyRing, tmp_path: Path) -> None:
    assert not await ring.any() and not await ring.every() and not await ring.active()
    assert await ring.by_prefix(prefix_of(SECRET)) is None and await ring.by_id("key-1") is None
    with pytest.raises(NotFound):
        await ring.revoke("key-1")
    assert not (tmp_path / "data").exists()


async def test_the_life_of_keys(ring: KeyRing, tmp_path: Path) -> None:
    clock: Clock = ring._clock  # type: ignore[assignment]
    made = await ring.create("ci", DEFAULT_SCOPES, lifetime_s=1000)
    other = await ring.create("boss", ["admin"], owner="head-office")
    assert await ring.any()
    assert [key.name for key in await ring.every()] == ["ci", "boss"] or made.key.id > other.key.id
    assert await ring.by_prefix(prefix_of(made.secret)) == made.key == await ring.by_id(made.key.id)
    assert made.key.owner != other.key.owner == "head-office" and made.key.expires_at == NOON + 1000

    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert made.secret.encode() not in stored and made.secret[16:].encode() not in stored and made.key.hash.encode() in stored

    clock.now += 100
    new, old = await ring.rotate(made.secret, keep_s=60)  # a whole key is as good as its prefix, and is not repeated in errors
    assert (new.key.owner, new.key.name, new.key.scopes) == (old.owner, old.name, old.scopes) and new.secret != made.secret
    assert old.id == made.key.id and old.expires_at == clock.now + 60 and new.key.expires_at == clock.now + 1000
    assert {key.id for key in await ring.active()} == {made.key.id, new.key.id, other.key.id}
    assert (await ring.rotate(old.id, keep_s=9999))[1].expires_at == old.expires_at, "an end never moves back"
    clock.now += 60
    assert made.key.id not in {key.id for key in await ring.active()}
    with pytest.raises(PeerError):
        await ring.rotate(made.key.id, keep_s=60)

    revoked_at = (await ring.revoke(prefix_of(other.secret))).revoked_at
    clock.now += 5
    assert (await ring.revoke(other.key.id)).revoked_at == revoked_at == clock.now - 5
    assert await ring.any() and len(await ring.every()) == 4


async def test_the_last_use_is_noted_now_and_then(ring: KeyRing, tmp_path: Path) -> None:
    clock: Clock = ring._clock  # type: ignore[assignment]
    key = (await ring.create("ci", DEFAULT_SCOPES)).key
    noted = []
    for _ in range(4):
        clock.now += 40
        await ring.used(await ring.by_id(key.id))  # type: ignore[arg-type]
        noted.append((await ring.by_id(key.id)).last_used_at)  # type: ignore[union-attr]
    assert noted == [NOON + 40, NOON + 40, NOON + 120, NOON + 120]
    rows = sqlite3.connect(tmp_path / "data" / "voxproof.db").execute("SELECT count(*) FROM api_keys").fetchone()
    assert rows == (1,)


@pytest.mark.parametrize("named", ["nope", "", SECRET, SECRET[:-1], "x" * 500])
async def test_an_error_never_repeats_a_key(ring: KeyRing, named: str) -> None:
    with pytest.raises(NotFound) as refused:
        await ring.revoke(named)
    assert SECRET[16:-1] not in refused.value.message and len(refused.value.message) < 120
