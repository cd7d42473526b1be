"""The outbox keeps exactly the audio that a server may still ask for, whatever order sending, acknowledging and rewinding come in."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.client.outbox import SAMPLE_BYTES, Outbox
from app.core import pcm, wire

RATE = 8000
S16 = wire.Audio(encoding="pcm_s16le", sample_rate=RATE)
SECOND = bytes(range(256)) * (RATE * 2 // 256) + bytes(RATE * 2 % 256)


def drained(outbox: Outbox, chunk_ms: int = 100) -> bytes:
    return b"".join(iter(lambda: outbox.next(chunk_ms), b""))


def test_sample_sizes_are_the_cores() -> None:
    assert SAMPLE_BYTES == pcm.SAMPLE_BYTES


@pytest.mark.parametrize(("chunk_ms", "size"), [(1, 16), (20, 320), (100, 1600), (5000, 16000)])
def test_pieces_are_as_long_as_asked(chunk_ms: int, size: int) -> None:
    outbox = Outbox(S16)
    outbox.push(SECOND)
    assert len(outbox.next(chunk_ms)) == size


def test_what_is_not_acknowledged_is_sent_again() -> None:
    outbox = Outbox(S16)
    outbox.push(SECOND * 3)
    assert drained(outbox) == SECOND * 3
    outbox.forget(1000)
    assert outbox.rewind(1500)
    assert drained(outbox) == (SECOND * 3)[RATE * 3 :]
    assert not outbox.rewind(999), "that audio is gone"
    assert not outbox.rewind(3001), "that audio never was"
    assert outbox.rewind(3000) and drained(outbox) == b""


def test_audio_that_was_not_sent_is_never_forgotten() -> None:
    outbox = Outbox(S16)
    outbox.push(SECOND)
    sent = outbox.next(100)
    outbox.forget(5000)
    assert sent + drained(outbox) == SECOND


def test_a_restart_begins_with_the_oldest_audio_kept() -> None:
    outbox = Outbox(S16)
    outbox.push(SECOND * 3)
    drained(outbox)
    outbox.forget(2000)
    assert outbox.seconds_after(0) == 3
    assert outbox.restart() == 2000
    assert outbox.seconds_after(0) == 1
    assert drained(outbox) == SECOND
    assert outbox.restart() == 0


def test_cut_gives_up_what_is_not_sent() -> None:
    outbox = Outbox(S16)
    outbox.push(SECOND)
    sent = outbox.next(100)
    outbox.cut()
    assert drained(outbox) == b""
    assert outbox.rewind(0) and drained(outbox) == sent


@given(seed=st.integers(0, 1 << 32), size=st.integers(1, 40_000), channels=st.sampled_from([1, 2]))
def test_any_cuts_give_the_server_every_byte_once(seed: int, size: int, channels: int) -> None:
    """A server that takes bytes, acknowledges some and asks for the rest again ends with the stream as it was."""
    chance, rate, frame_bytes = random.Random(seed), 44100, 2 * channels
    stream = chance.randbytes(size)
    outbox = Outbox(wire.Audio(encoding="pcm_s16le", sample_rate=rate, channels=channels))
    taken, processed_ms, pushed = b"", 0, 0
    while pushed < len(stream):
        more = chance.randint(1, 20_000)
        outbox.push(stream[pushed : pushed + more])
        pushed += more
        while piece := outbox.next(chance.randint(1, 100)):
            if chance.random() < 0.1:  # lost with its connection; the server goes on from a whole ms, and skips what it has
                from_ms = len(taken) // frame_bytes * 1000 // rate
                taken = taken[: from_ms * rate // 1000 * frame_bytes]
                assert outbox.rewind(from_ms)
                continue
            taken += piece
            processed_ms = chance.randint(processed_ms, max(processed_ms, len(taken) // frame_bytes * 1000 // rate))
            outbox.forget(processed_ms)
    assert taken == stream
