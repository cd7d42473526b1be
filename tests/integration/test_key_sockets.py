"""Keys and tokens over both WebSockets: every way in, every refusal said before the close, and the end of a session whose key ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from app.service.keys import make_secret
from app.status import STATUS
from tests.integration.doors import START, Locked, with_key
from tests.integration.material import encoded
from tests.integration.server import Server
from tests.integration.talk import Talk, talk
from tests.toy import voice

PCM = encoded(voice(3.0, "spoof"), "pcm_s16le")
QUERY = "/v1/stream?encoding=pcm_s16le&sample_rate=16000"
BOTH = pytest.mark.parametrize("path", ["/v1/stream", "/ws"])


async def refused(it: Talk) -> str:
    """The code of the refusal, said and closed with the same meaning. /ws says it in its own words: then the close code."""
    code = await it.rest(10)
    (said,) = it.rows
    if "code" not in said:
        assert set(said) == {"error"}
        return next(name for name, status in STATUS.items() if status.close == code)
    assert said["fatal"] and said["close_code"] == code == STATUS[said["code"]].close
    return str(said["code"])


async def ready(it: Talk) -> dict[str, Any]:
    return await it.next("ready", 10)


@BOTH
@pytest.mark.parametrize(
    ("kind", "code"), [("wrong", "unauthorized"), ("expired", "authorisation_expired"), ("revoked", "unauthorized"), ("narrow", "scope_missing")]
)
async def test_refusals_are_said_and_then_closed(locked: Locked, path: str, kind: str, code: str) -> None:
    made = await asyncio.to_thread(locked.keys.make, *(["detect"] if kind == "narrow" else []), lifetime_s=0.01 if kind == "expired" else None)
    if kind == "revoked":
        await asyncio.to_thread(locked.keys.revoke, made)
    async with talk(locked.server.ws(path), **with_key(make_secret() if kind == "wrong" else made.secret)) as it:
        found = await refused(it)
    assert STATUS[found].close == STATUS[code].close


@BOTH
async def test_without_a_key_the_first_message_decides(locked: Locked, path: str) -> None:
    async with talk(locked.server.ws(path)) as it:
        await it.send(START)
        assert await refused(it) == "unauthorized"
    async with talk(locked.server.ws(path)) as it:
        await it.send(PCM[:3200])
        assert await refused(it) == "unauthorized"
    async with talk(locked.server.ws(path)) as it:
        assert STATUS[await refused(it)].close == STATUS["handshake_timeout"].close  # the fixture waits a second
    async with talk(locked.server.ws(path)) as it:
        await it.send({"type": "start", "token": locked.keys.secrets[0], **START})
        assert await refused(it) == "unauthorized", "a key is no token"


async def test_a_query_with_a_format_waits_for_no_token(locked: Locked) -> None:
    async with talk(locked.server.ws(QUERY)) as it:
        assert await refused(it) == "unauthorized"


async def test_sockets_without_a_key_count_against_their_address(toy: Path, tmp_path: Path) -> None:
    with Server(tmp_path, toy, api_key="a key of the environment", address_requests_per_minute=2, token_timeout_seconds=0.1) as server:
        heard = []
        for message in (START, None, START, START):  # two a minute, so one of these is refused for it though the clock's minute ends here
            async with talk(server.ws()) as it:
                if message:
                    await it.send(message)
                heard.append(await refused(it))
    assert heard[:2] == ["unauthorized", "handshake_timeout"] and "rate_limited" in heard[2:]


async def test_every_way_in(locked: Locked) -> None:
    key = locked.keys.secrets[0]
    token = await asyncio.to_thread(locked.token, key)
    offered = {"subprotocols": ["voxproof.v1", token["subprotocol"]]}
    for path, options, start in (
        ("/v1/stream", with_key(key), START),
        ("/v1/stream", {"additional_headers": {"Authorization": f"Bearer {key}"}}, START),
        ("/v1/stream", {"additional_headers": {"Authorization": f"Bearer {token['token']}"}}, START),
        ("/v1/stream", offered, START),
        (f"/v1/stream?token={token['token']}", {}, START),
        (f"{QUERY}&token={token['token']}", {}, None),
        ("/v1/stream", {}, {**START, "token": token["token"]}),
        ("/ws", with_key(key), START),
        ("/ws", offered, START),
        (f"/ws?token={token['token']}", {}, START),
        ("/ws", {}, {**START, "token": token["token"]}),
    ):
        async with talk(locked.server.ws(path), **options) as it:
            if start:
                await it.send(start)
            await ready(it)
            assert it.connection.subprotocol == ("voxproof.v1" if options is offered else None)
            await it.send({"type": "stop"})
            assert await it.rest() == 1000


async def test_a_key_in_the_address_is_refused(locked: Locked) -> None:
    async with talk(locked.server.ws(f"/v1/stream?token={locked.keys.secrets[0]}")) as it:
        assert await refused(it) == "unauthorized" and "is a key" in it.rows[0]["message"]


@BOTH
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_foreign_page_does_not_come_in_with_a_good_key_either(locked: Locked, path: str, origin: str) -> None:
    headers = {"X-API-Key": locked.keys.secrets[0], "Origin": origin}
    with pytest.raises(InvalidStatus) as found:
        async with talk(locked.server.ws(path), additional_headers=headers):
            pass
    assert found.value.response.status_code == 403


async def test_a_stream_outlives_the_token_that_opened_it(locked: Locked) -> None:
    token = (await asyncio.to_thread(locked.token, locked.keys.secrets[0], 1))["token"]
    async with talk(locked.server.ws(f"{QUERY}&token={token}")) as it:
        await ready(it)
        async with asyncio.timeout(10):
            while True:  # until the token has ended
                async with talk(locked.server.ws(f"{QUERY}&token={token}")) as late:
                    if (await late.next())["type"] == "error":
                        break
        assert late.codes() == ["authorisation_expired"]
        await it.send(PCM, {"type": "stop"})
        assert await it.rest() == 1000 and it.rows[-1]["verdict"] == "spoof"


async def test_a_revoked_key_ends_its_live_streams_and_another_of_its_owner_resumes(locked: Locked) -> None:
    old = await asyncio.to_thread(locked.keys.make, owner="resuming")
    new = await asyncio.to_thread(locked.keys.make, owner="resuming")
    async with talk(locked.server.ws(), **with_key(old.secret)) as it:
        await it.send(START, PCM[:48_000])
        first = await ready(it)
        await it.next("verdict")
        await asyncio.to_thread(locked.keys.revoke, old)
        assert await it.rest() == 4440
        assert it.rows[-1]["code"] == "authorisation_expired" and it.rows[-1]["seq"] == 0
    resume = {"session_id": first["session_id"], "resume_token": first["resume_token"], "last_seq": it.rows[-2]["seq"]}
    async with talk(locked.server.ws(), **with_key(locked.keys.secrets[0])) as other:
        await other.send({"type": "start", "resume": resume})
        assert await other.rest() == 4404 and other.codes() == ["unknown_session"], "somebody else's"
    async with talk(locked.server.ws(), **with_key(new.secret)) as again:
        await again.send({"type": "start", "resume": resume})
        here = (await ready(again))["resume"]["continue_from_ms"]
        await again.send(PCM[here * 32 :], {"type": "stop"})
        assert await again.rest() == 1000 and again.rows[-1]["duration_ms"] == 3000 and again.rows[-1]["verdict"] == "spoof"


@BOTH
async def test_the_end_of_a_key_ends_its_sockets_at_that_time(locked: Locked, path: str) -> None:
    short = await asyncio.to_thread(locked.keys.make, lifetime_s=2.0)
    async with talk(locked.server.ws(path), **with_key(short.secret)) as it:
        if path == "/v1/stream":
            await it.send(START)
            await ready(it)
        assert await it.rest(10) == 4440 and "expired" in it.rows[-1]["error"]


async def test_without_keys_a_proxied_socket_is_told_so(server: Server) -> None:
    for path in ("/v1/stream", "/ws"):
        async with talk(server.ws(path), additional_headers={"X-Forwarded-For": "127.0.0.1"}) as it:
            assert await it.rest() == 4403 and "this machine" in it.rows[0]["error"]


async def test_a_page_behind_a_trusted_proxy_is_ours_by_its_outer_address(toy: Path, tmp_path: Path) -> None:
    with Server(tmp_path, toy, api_key="a key of the environment", trusted_proxies='["127.0.0.0/8"]') as running:
        outer = {"X-Forwarded-For": "203.0.113.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "vox.example"}
        key = {"X-API-Key": "a key of the environment"}
        for origin, welcome in (("https://vox.example", True), ("http://vox.example", False), (running.http, False)):
            try:
                async with talk(running.ws(), additional_headers={**outer, **key, "Origin": origin}) as it:
                    await it.send(START)
                    await ready(it)
                    assert welcome, origin
            except InvalidStatus as found:
                assert found.response.status_code == 403 and not welcome, origin
        refusals = [line for line in running.lines if '"status": 403' in line]
        assert all('"address": "203.0.113.1"' in line for line in refusals), refusals
