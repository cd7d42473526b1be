"""Browser tokens: what they allow, how long, with which key they end; and that nothing can be changed in one."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import AuthorisationExpired, RateLimited, ScopeMissing, Unauthorized
from app.service.access import Access, Caller, Principal
from app.service.keys import ENVIRONMENT
from app.service.tokens import unpacked
from tests.rings import Door

THERE = Caller("203.0.113.9")


async def minted(door: Door, secret: str, seconds: float = 60, scopes: list[str] | None = None) -> str:
    principal = await door.access.admit(replace(THERE, secret=secret), "any")
    return (await door.access.mint(principal, scopes, seconds))[0]  # type: ignore[arg-type]


async def admitted(access: Access, token: str, need: str = "stream") -> Principal:
    return await access.admit(replace(THERE, token=token), need)  # type: ignore[arg-type]


async def test_a_token_is_its_key_for_a_while() -> None:
    door = Door()
    secret = door.ring.add("stream", "detect", "reports", owner="acme")
    token = await minted(door, secret)
    principal = await admitted(door.access, token)
    assert (principal.owner, principal.key_id, principal.by_token) == ("acme", "key-0", True)
    assert principal.scopes == {"stream", "detect"}, "never more than a page may have"
    assert (await door.access.admit(replace(THERE, secret=token), "detect")).by_token, "a header takes it too"
    door.clock.now += 59.9
    assert await admitted(door.access, token)
    door.clock.now += 0.1
    with pytest.raises(AuthorisationExpired):
        await admitted(door.access, token)
    assert await door.access.still(principal) is None, "what it has opened goes on"


async def test_every_process_with_these_keys_takes_it() -> None:
    door = Door(environment="the key of the environment")
    secret = door.ring.add("stream")
    other = Door(environment="the key of the environment")
    other.ring.keys = door.ring.keys
    stranger = Door(environment="another key")
    for token in (await minted(door, secret), await minted(door, "the key of the environment")):
        assert await admitted(other.access, token)
        with pytest.raises(Unauthorized):
            await admitted(stranger.access, token)


async def test_scopes_are_asked_for_and_never_grow() -> None:
    door = Door()
    narrow, without = door.ring.add("stream", "admin"), door.ring.add("tasks")
    assert (await admitted(door.access, await minted(door, narrow))).scopes == {"stream"}
    with pytest.raises(ScopeMissing):
        await minted(door, narrow, scopes=["detect"])
    with pytest.raises(ScopeMissing):
        await minted(door, without)
    with pytest.raises(ScopeMissing):
        await admitted(door.access, await minted(door, door.ring.add("stream", "detect"), scopes=["detect"]))
    token = await minted(door, narrow)
    with pytest.raises(ScopeMissing):
        await door.access.mint(await admitted(door.access, token), None, 3600)


async def test_it_ends_with_its_key() -> None:
    door = Door()
    secret = door.ring.add()
    token = await minted(door, secret, 3600)
    principal = await admitted(door.access, token)
    door.ring.change(secret, revoked_at=door.clock.now)
    door.clock.now += 6
    with pytest.raises(Unauthorized):
        await admitted(door.access, token)
    with pytest.raises(AuthorisationExpired):
        await door.access.still(principal)


async def test_a_key_is_no_token() -> None:
    door = Door()
    secret = door.ring.add()
    with pytest.raises(Unauthorized) as refused:
        await admitted(door.access, secret)
    assert "is a key" in refused.value.message and secret not in refused.value.message


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nothing_can_be_changed(data: st.DataObject) -> None:
    async def run() -> None:
        door = Door(max_failures=10_000)
        secret, other = door.ring.add("stream"), door.ring.add("stream", "detect")
        token = await minted(door, secret)
        at = data.draw(st.integers(0, len(token) - 1))
        letter = data.draw(st.sampled_from("ABCxyz019-_.=~ é"))
        changed = token[:at] + letter + token[at + 1 :]
        body, mac = token.removeprefix("vpt_").split(".")
        content = json.loads(unpacked(body))
        field, value = data.draw(
            st.sampled_from([("e", content["e"] + 1), ("s", ["detect", "stream"]), ("k", door.ring.of(other).id), ("k", ENVIRONMENT)])
        )
        rewritten = base64.urlsafe_b64encode(json.dumps({**content, field: value}).encode()).rstrip(b"=").decode()
        for tampered in (changed, f"vpt_{rewritten}.{mac}", token + "A", f"vpt_{body}.", f"vpt_.{mac}", f"vpt_{body}.{mac[:-2]}"):
            if tampered != token:
                with pytest.raises(Unauthorized):
                    await admitted(door.access, tampered)
        assert await admitted(door.access, token)

    asyncio.run(run())


ODD = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


@settings(max_examples=40, deadline=None)
@given(ODD | st.dictionaries(st.sampled_from("kesn"), ODD))
def test_no_nonsense_is_more_than_nonsense(content: object) -> None:
    async def run() -> None:
        door = Door()
        door.ring.add()
        body = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
        for token in (f"vpt_{body}.{body}", f"vpt_{content}"):
            with pytest.raises(Unauthorized):
                await admitted(door.access, token)

    asyncio.run(run())


async def test_beyond_the_limit_of_failures_good_tokens_go_on() -> None:
    door = Door(max_failures=3)
    token = await minted(door, door.ring.add())
    for _ in range(3):
        with pytest.raises(Unauthorized):
            await admitted(door.access, token + "A")
    with pytest.raises(RateLimited):
        await admitted(door.access, token + "A")
    assert await admitted(door.access, token)
