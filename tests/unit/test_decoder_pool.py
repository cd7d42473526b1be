"""Decoder processes: what they hand back, and that nothing a file or a caller does spoils the pool for the next one."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import AudioTooLong, DecoderFailed, DecodeTooSlow, EmptyAudio, ShuttingDown, UnsupportedAudio, UnusableAudio
from app.service.decode import DecodeLimits, open_audio
from app.service.decoder_pool import DecoderPool
from tests.audio import recorder_webm, sound_file, tone, wav

LIMITS = DecodeLimits()
MEMORY = 1 << 30
LONG = wav(tone(20.0, 48000), 48000)  # more than the pipe and its buffers hold

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the server runs on Linux and macOS")


@pytest.fixture
async def pool() -> AsyncIterator[DecoderPool]:
    async with DecoderPool(1, MEMORY) as pool:
        yield pool


async def decode(pool: DecoderPool, data: bytes, limits: DecodeLimits = LIMITS) -> bytes:
    async with pool.decode(data, limits) as audio:
        return b"".join([block async for block in audio.blocks()])


def pids(pool: DecoderPool) -> list[int]:
    return [worker.pid for worker in pool._all]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_worker_gives_what_decoding_here_gives(pool: DecoderPool) -> None:
    for data in (wav(tone(1.0)), sound_file(tone(1.0), 16000, "MP3"), recorder_webm(1.0), LONG[: len(LONG) // 2]):
        with open_audio(data, LIMITS) as here:
            expected = b"".join(here.blocks())
        async with pool.decode(data, LIMITS) as audio:
            assert b"".join([block async for block in audio.blocks()]) == expected
            fields = ("sample_rate", "channels", "codec", "container", "encoding", "warnings")
            assert [getattr(audio, name) for name in fields] == [getattr(here, name) for name in fields]
    assert len(pids(pool)) == 1, "one process served them all"


async def test_errors_come_back_as_themselves_and_the_worker_stays(pool: DecoderPool) -> None:
    await pool.warm()
    before = pids(pool)
    with pytest.raises(UnsupportedAudio, match="ZIP"):
        await decode(pool, b"PK\x03\x04" + bytes(99))
    with pytest.raises(EmptyAudio):
        await decode(pool, b"")
    with pytest.raises(AudioTooLong):
        await decode(pool, recorder_webm(2.0), DecodeLimits(max_seconds=1.0))
    assert await decode(pool, wav(tone(0.1))) == tone(0.1).tobytes()
    assert pids(pool) == before


@pytest.mark.parametrize("moment", ["idle", "decoding"])
async def test_a_crash_costs_one_file(pool: DecoderPool, moment: str) -> None:
    await pool.warm()
    [pid] = pids(pool)
    if moment == "idle":
        os.kill(pid, signal.SIGKILL)  # nobody's fault: the next caller does not notice
    else:
        async with pool.decode(LONG, LIMITS) as audio:
            os.kill(pid, signal.SIGSEGV)
            with pytest.raises(UnusableAudio):
                async for _ in audio.blocks():
                    pass
    assert await decode(pool, wav(tone(0.1))) == tone(0.1).tobytes()
    assert pids(pool) != [pid] and len(pids(pool)) == 1


async def test_a_crash_on_the_file_is_the_files_fault(pool: DecoderPool) -> None:
    with pytest.raises(UnusableAudio, match="memory"):
        async with DecoderPool(1, 1 << 28) as small:
            await decode(small, bytes(300 << 20))


async def test_a_hanging_decoder_is_killed(pool: DecoderPool) -> None:
    await pool.warm()
    [pid] = pids(pool)
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(DecodeTooSlow):
        await decode(pool, wav(tone(0.1)), DecodeLimits(timeout_seconds=0.05))
    assert not runs(pid)
    assert await decode(pool, wav(tone(0.1))) == tone(0.1).tobytes()


async def test_a_slow_reader_is_not_a_slow_decoder(pool: DecoderPool) -> None:
    await pool.warm()
    limits = DecodeLimits(timeout_seconds=0.4)
    got = 0
    async with pool.decode(LONG, limits) as audio:
        async for block in audio.blocks():
            if not got:
                await asyncio.sleep(0.5)
            got += len(block)
    assert got == 20 * 48000 * 2


async def test_leaving_early_leaves_a_clean_pool(pool: DecoderPool) -> None:
    async with pool.decode(LONG, LIMITS) as audio:
        async for _ in audio.blocks():
            break
    assert await decode(pool, wav(tone(0.1))) == tone(0.1).tobytes()
    with pytest.raises(ZeroDivisionError):
        async with pool.decode(LONG, LIMITS):
            raise ZeroDivisionError
    assert await decode(pool, wav(tone(0.1))) == tone(0.1).tobytes()
    started = asyncio.Event()

    async def stall() -> None:
        async with pool.decode(LONG, LIMITS) as audio:
            async for _ in audio.blocks():
                started.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(stall())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await decode(pool, wav(tone(0.1))) == tone(0.1).tobytes()
    assert len(pids(pool)) == 1


async def test_no_more_workers_than_allowed_and_everybody_is_served() -> None:
    async with DecoderPool(2, MEMORY) as pool:
        files = [wav(tone(0.2 + number / 10, seed=number)) for number in range(8)]
        got = await asyncio.gather(*(decode(pool, file) for file in files))
        assert got == [file[44:] for file in files]
        assert len(pids(pool)) == 2


async def test_close_ends_all_workers_and_tells_their_callers() -> None:
    pool = DecoderPool(2, MEMORY)
    await pool.warm()
    children = pids(pool)
    async with pool.decode(LONG, LIMITS) as audio:
        blocks = audio.blocks()
        await anext(blocks)
        await pool.close()
        with pytest.raises(ShuttingDown):
            async for _ in blocks:
                pass
    assert len(children) == 2
    assert not any(map(runs, children))
    with pytest.raises(ShuttingDown):
        await decode(pool, wav(tone(0.1)))


async def test_a_pool_closed_while_a_worker_starts_leaves_none(pool: DecoderPool) -> None:
    starting = asyncio.create_task(pool.warm())
    await asyncio.sleep(0.01)
    await pool.close()
    with pytest.raises(ShuttingDown):
        await starting
    assert not pool._all


async def test_a_check_costs_nothing_while_all_is_well(pool: DecoderPool) -> None:
    await pool.check()
    assert not pool._all
    await pool.close()
    with pytest.raises(ShuttingDown):
        await pool.check()


async def test_waiting_callers_are_told_when_the_pool_closes(pool: DecoderPool) -> None:
    async with pool.decode(LONG, LIMITS):
        waiting = asyncio.create_task(decode(pool, LONG))
        await asyncio.sleep(0)
        await pool.close()
    with pytest.raises(ShuttingDown):
        await waiting


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere"])
async def test_a_worker_that_cannot_start_is_our_failure(pool: DecoderPool, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", program)
        with pytest.raises(DecoderFailed):
            await decode(pool, wav(tone(0.1)))
        with pytest.raises(DecoderFailed):
            await pool.warm()
        with pytest.raises(DecoderFailed):
            await pool.check()
    assert not pool._all
    await pool.check()  # it tries by itself: a server that is not ready is sent nothing that would
    assert len(pids(pool)) == 1
    assert await decode(pool, wav(tone(0.1))) == tone(0.1).tobytes()


async def test_workers_survive_ctrl_c(pool: DecoderPool) -> None:
    await pool.warm()
    before = pids(pool)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(before[0], number)
    assert await decode(pool, wav(tone(0.1))) == tone(0.1).tobytes()
    assert pids(pool) == before


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_workers_inherit_no_files_and_no_secrets(pool: DecoderPool) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    os.environ["VOXPROOF_TEST_SECRET"] = "a secret"
    try:
        await pool.warm()
        process = Path(f"/proc/{pids(pool)[0]}")
        held = {os.readlink(file) for file in (process / "fd").iterdir()}
        assert os.readlink(f"/proc/self/fd/{reader}") not in held
        assert b"a secret" not in (process / "environ").read_bytes()
    finally:
        del os.environ["VOXPROOF_TEST_SECRET"]
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a hanging decoder outlives its server")
@pytest.mark.parametrize("hanging", [False, True])
def test_workers_die_with_the_server(hanging: bool) -> None:
    code = (
        "import asyncio, os, sys\n"
        "from app.service.decoder_pool import DecoderPool\n"
        "async def main():\n"
        "    pool = DecoderPool(1, 1 << 30)\n"
        "    await pool.warm()\n"
        "    print(*[w.pid for w in pool._all], flush=True)\n"
        "    sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout
        worker = int(server.stdout.readline())
        assert runs(worker)
        if hanging:
            os.kill(worker, signal.SIGSTOP)
        server.kill()
        server.wait()
    # An orphan's end is its new parent's to reap: a process without a command line is over.
    command = Path(f"/proc/{worker}/cmdline")
    for _ in range(1000):
        if not command.exists() or not command.read_bytes():
            return
        os.sched_yield()
    pytest.fail("the worker outlived its server")


SAME_ON_UVLOOP = [
    test_errors_come_back_as_themselves_and_the_worker_stays,
    test_a_hanging_decoder_is_killed,
    test_leaving_early_leaves_a_clean_pool,
    test_waiting_callers_are_told_when_the_pool_closes,
    test_workers_inherit_no_files_and_no_secrets,
    functools.partial(test_a_crash_costs_one_file, moment="idle"),
    functools.partial(test_a_crash_costs_one_file, moment="decoding"),
]


@pytest.mark.parametrize("scenario", SAME_ON_UVLOOP)
def test_the_same_on_uvloop(scenario: Callable[[DecoderPool], Coroutine[Any, Any, None]]) -> None:
    """uvicorn runs on uvloop, whose pipes and processes fail in other ways than asyncio's."""
    uvloop = pytest.importorskip("uvloop")

    async def run() -> None:
        async with DecoderPool(1, MEMORY) as pool:
            await scenario(pool)

    uvloop.run(run())
