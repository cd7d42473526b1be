"""A session <-> bytes, so that another process can go on with it: the verdicts' state, the newest audio as the client sent it, the last messages.

    data = snapshot(session, said)                       while `session.settled`
    session, said = restored(data, model, limits, token) elsewhere; BadSnapshot when the bytes, or the model, are not what they were

The frame memory of a scorer is not in it: the session has its last windows scored again first, cut as they were, so the next ones come out
as they would have. The audio goes back to where a resampler may begin (`resample`). So a session goes on to the bit as it would have.

    "VXS1" · crc32 of the rest · length of the JSON · JSON · heard windows of each channel, 25 bytes each · audio
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from math import isnan, nan
from typing import Annotated, get_args
from zlib import crc32

from pydantic import BaseModel, ConfigDict, Field

from app.core import wire
from app.core.counters import Counters
from app.core.errors import VoxproofError, every_error
from app.core.intake import IntakeState
from app.core.messages import Limits
from app.core.session import Session
from app.core.terms import Model
from app.core.track import Track, TrackState
from app.core.verdict import Heard, VerdictName

MAGIC = b"VXS1"
HEAD = struct.Struct("<4sII")
HEARD = struct.Struct("<IIdIIB")
VERDICTS: tuple[VerdictName, ...] = get_args(VerdictName)
MAX_BYTES = 64 << 20
MOST_LLR = 1e9  # sums of them stay finite

Said = tuple[int, str]  # number and text of a message
Count = Annotated[int, Field(ge=0, le=2**53)]


class BadSnapshot(ValueError):
    """These bytes are no session, or one of another model or version."""


class State(BaseModel):
    """The JSON part."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    session_id: Annotated[str, Field(max_length=64)]
    model_sha256: str
    start: str
    counters: Counters
    intake: IntakeState
    tracks: list[TrackState]
    heard: list[Count]
    processed: Count
    said: list[Said]
    closed: bool
    failure: tuple[str, str] | None


def snapshot(session: Session, said: Iterable[Said]) -> bytes:
    """Audio that waits unscored is left out: the client is told to send it again. ValueError unless the session is settled."""
    if not session.settled:
        raise ValueError("windows of this session are being scored")
    intake, terms, counters = session.intake, session.terms, session.counters
    waiting_bytes = (intake.received_frames - intake.taken_frames) * intake.frame_bytes
    state = State.model_construct(
        session_id=session.id, model_sha256=terms.info.sha256,
        # Secrets stay behind: the token it was opened with, and the one it is resumed with.
        start=wire.encode(terms.start.model_copy(update={"config": terms.config, "token": None, "resume": None})),
        counters=Counters(**{**vars(counters), "bytes": max(0, counters.bytes - waiting_bytes)}), intake=intake.state(),
        tracks=[track.state() for track in session.tracks], heard=[len(track.heard) for track in session.tracks], processed=session.processed,
        said=list(said), closed=session.closed,
        failure=(session.failure.code, session.failure.message) if session.failure is not None else None,
    )  # fmt: skip
    header = state.model_dump_json().encode()
    body = b"".join([header, *map(_packed, session.tracks), b"" if session.closed else intake.kept])
    return HEAD.pack(MAGIC, crc32(body), len(header)) + body


def restored(
    data: bytes, model: Model, limits: Limits, resume_token: str, *, max_bad_messages: int = 20
) -> tuple[Session, list[Said]]:
    """The session as it was, for `rejoin`, and the messages to say again. `resume_token` is the one the client came with."""
    try:
        return _restored(data, model, limits, resume_token, max_bad_messages)
    except BadSnapshot:
        raise
    except Exception as exc:  # bytes of any kind can be wrong in any way
        raise BadSnapshot(f"{type(exc).__name__}: {exc}"[:200]) from exc


def _restored(data: bytes, model: Model, limits: Limits, resume_token: str, max_bad_messages: int) -> tuple[Session, list[Said]]:
    if not HEAD.size <= len(data) <= MAX_BYTES:
        raise BadSnapshot("the length is wrong")
    magic, check, length = HEAD.unpack_from(data)
    if magic != MAGIC or crc32(memoryview(data)[HEAD.size :]) != check:
        raise BadSnapshot("the bytes are not those that were written")
    at = HEAD.size + length
    state = State.model_validate_json(data[HEAD.size : at])
    if state.model_sha256 != model.info.sha256:
        raise BadSnapshot("it is of another model")
    start = wire.parse(state.start)
    if not isinstance(start, wire.Start):
        raise BadSnapshot("it has no start")
    session = Session(state.session_id, resume_token, model, limits, start, max_bad_messages=max_bad_messages, portable=True)
    if any(abs(llr) > MOST_LLR for track in state.tracks for llr in track.running.recent):
        raise BadSnapshot("an llr is beyond reason")
    if not len(state.tracks) == len(state.heard) == len(session.tracks):
        raise BadSnapshot("it has another number of channels")
    for track, each, count in zip(session.tracks, state.tracks, state.heard, strict=True):
        track.restore(each, _unpacked(data[at : at + count * HEARD.size], count))
        at += count * HEARD.size
    session.intake.restore(state.intake, data[at:], over=state.closed)
    session.messages()  # the greeting: the client had it long ago
    session.counters, session.processed, session.anew = state.counters, state.processed, True
    session.closed = state.closed
    session.failure = _failure(*state.failure) if state.failure is not None else None
    return session, state.said


def _packed(track: Track) -> bytearray:
    """Packed once: a session of two hours has thousands of windows, and a snapshot each second."""
    for h in track.heard[len(track.packed) // HEARD.size :]:
        llr = nan if h.llr is None else h.llr
        track.packed += HEARD.pack(h.start_ms, h.end_ms, llr, h.speech_ms, h.new_speech_ms, VERDICTS.index(h.verdict))
    return track.packed


def _unpacked(data: bytes, count: int) -> list[Heard]:
    if len(data) != count * HEARD.size:
        raise BadSnapshot("windows are missing")
    heard = []
    for start_ms, end_ms, llr, speech_ms, new_speech_ms, verdict in HEARD.iter_unpack(data):
        if not (isnan(llr) or abs(llr) <= MOST_LLR):
            raise BadSnapshot("an llr is beyond reason")
        heard.append(Heard(start_ms, end_ms, None if isnan(llr) else llr, speech_ms, new_speech_ms, VERDICTS[verdict]))
    return heard


def _failure(code: str, message: str) -> VoxproofError:
    found = next((each for each in every_error() if each.code == code), None)
    if found is None:
        raise BadSnapshot("its failure is not known")
    return found(message)
