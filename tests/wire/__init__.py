"""Messages both sides of the wire are tested with: `server.json` is what our server says in a few sessions, `client.json` what the page says.

`server_cases` plays those sessions (the product's own session, an arithmetic detector, no clock), so that the file can be compared with what the
server makes today; `python -m tests.wire` writes it anew. tests/unit/test_wire_cases.py reads both files, and so does tests/js/wire.test.mjs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np

from app.core import wire
from app.core.errors import BadConfig, ServerFull, ShuttingDown, TakenOver, Unauthorized, UnknownSession, VoxproofError
from app.core.messages import Ack, Error, Limits, Message, Segment, Warning, WarningCode
from app.core.session import Session
from app.service.detect import NOTES
from app.service.live import complete_error
from tests.fake import LIMITS, model, open_session, s16, score_all, speechlike

HERE = Path(__file__).parent
RATE, SECOND = 16000, 32_000
LATENCY_MS = 80
Row = dict[str, Any]


def server_cases() -> dict[str, Any]:
    return {
        "about": "What the server says. Written by `python -m tests.wire`; `end`: how the page's stream must end, `close_code` as the server closes.",
        "sessions": [
            _case("changes its mind, twice asked", 1000, "done", _changing()),
            _case("two channels, one of them a machine's", 1000, "done", _two_channels()),
            _case("silence", 1000, "done", _talk(open_session(), [s16(np.zeros((3 * RATE, 1)))])),
            _case("telephone sound", 1000, "done", _talk(open_session(), [s16(_telephone())])),
            _case("mistakes that end nothing", 1000, "done", _mistakes()),
            _case("audio dropped", 1000, "done", _dropped()),
            _case("the longest session", 4413, "done", _too_long()),
            _case("resumed", 1000, "done", _resumed()),
            _case("server full", 4503, "refused", _refusal(ServerFull(retry_after_ms=5000))),
            _case("no key", 4401, "failed", _refusal(Unauthorized("A key is needed."))),
            _case("bad start", 4400, "failed", _refusal(BadConfig("config.profile: no.", field="config.profile"))),
            _case("a session nobody knows", 4404, "failed", _refusal(UnknownSession("No such session."))),
        ],
        "breaks": [
            _case("shut down", 1012, "", _broken(ShuttingDown("The server is shutting down."))),
            _case("taken over", 4409, "failed", _broken(TakenOver("Another connection took this session over."))),
        ],
        "warnings": [_row(Warning(code=code, message=NOTES.get(code, f"{code}."))) for code in get_args(WarningCode)],
    }


def client_cases() -> list[Row]:
    return list(json.loads((HERE / "client.json").read_text("utf-8"))["messages"])


# --- sessions -----------------------------------------------------------------------------------------------


def _changing() -> list[Row]:
    """Human, then machine, then human; asked for a verdict and for another operating point on the way."""
    session = open_session(detail="full")
    human, machine = s16(speechlike(4, level=0.05)), s16(speechlike(6.3, level=0.25, seed=1))
    rows = _play(session, [human])
    session.receive_text('{"type":"update","config":{"profile":"strict"}}')
    session.receive_text('{"type":"keepalive"}')
    rows += _play(session, [machine])
    session.receive_text('{"type":"finalize","id":"now"}')
    rows += _play(session, [s16(speechlike(7, level=0.05, seed=2))])
    return rows + _stop(session)


def _two_channels() -> list[Row]:
    sound = np.concatenate([speechlike(4, level=0.05), speechlike(4, level=0.25, seed=1)], axis=1)
    session = Session("s1", "t1", model(), LIMITS, _start(channels=2, channel_labels=["caller", "agent"]))
    return _talk(session, [s16(sound)])


def _mistakes() -> list[Row]:
    session = Session("s1", "t1", model(), LIMITS, _start(config={"colour": "red"}))
    for text in ('{"type":"update","config":{"hop_seconds":1}}', "{", '{"type":"sing"}', '{"type":"audio","data":"%"}'):
        session.receive_text(text)
    return _talk(session, [s16(speechlike(2))])


def _dropped() -> list[Row]:
    limits = Limits(max_session_seconds=7200, idle_timeout_seconds=30, max_frame_bytes=1 << 20, max_buffer_seconds=2)
    session = open_session(on_overflow="drop_oldest", limits=limits)
    for second in range(4):  # faster than it is scored
        session.receive_bytes(s16(speechlike(1, seed=second)))
    return _rows(score_all(session)) + _stop(session)


def _too_long() -> list[Row]:
    limits = Limits(max_session_seconds=62, idle_timeout_seconds=30, max_frame_bytes=1 << 20, max_buffer_seconds=100)
    session = open_session(limits=limits, hop_seconds=4.0)
    rows = _play(session, [s16(speechlike(1)), s16(np.zeros((60 * RATE, 1)))], piece=SECOND)
    return rows + _play(session, [s16(speechlike(3))])


def _resumed() -> list[Row]:
    """As the second connection hears it."""
    session = open_session()
    before = _play(session, [s16(speechlike(3))])
    session.rejoin()
    rows = _rows(session.messages()) + before[-2:]
    return rows + _talk(session, [s16(speechlike(2, seed=1))])


def _broken(ending: VoxproofError) -> list[Row]:
    return [*_play(open_session(), [s16(speechlike(2))]), *_refusal(ending)]


def _refusal(problem: VoxproofError) -> list[Row]:
    """An error about the connection has number 0."""
    return [_row(Error.of(problem, fatal=True).numbered(0))]


def _telephone() -> np.ndarray:
    """Speech without anything above 2 kHz."""
    sound = np.fft.rfft(speechlike(4, level=0.2)[:, 0])
    sound[round(len(sound) / 4) :] = 0
    return np.fft.irfft(sound).astype(np.float32)[:, None]


# --- how they are played ------------------------------------------------------------------------------------


def _case(name: str, close_code: int, end: str, messages: list[Row]) -> Row:
    return {"name": name, "close_code": close_code, "end": end, "messages": messages}


def _start(channels: int = 1, config: Row | None = None, **audio: Any) -> wire.Start:
    audio = {"encoding": "pcm_s16le", "sample_rate": RATE, "channels": channels, **audio}
    return wire.Start.model_validate({"audio": audio, "config": config or {}})


def _talk(session: Session, pieces: list[bytes]) -> list[Row]:
    return _play(session, pieces) + _stop(session)


def _play(session: Session, pieces: list[bytes], piece: int = SECOND // 2) -> list[Row]:
    rows = []
    for data in pieces:
        for at in range(0, len(data), piece):
            session.receive_bytes(data[at : at + piece])
            rows += _rows(score_all(session))
    return rows


def _stop(session: Session) -> list[Row]:
    session.stop()
    return _rows(score_all(session))


def _rows(messages: list[Message]) -> list[Row]:
    return [_row(message) for message in messages]


def _row(message: Message) -> Row:
    """As it stands on the wire, with the wall-clock fields and numbers that app.service.live adds."""
    if isinstance(message, Segment):
        message.latency_ms = LATENCY_MS
    elif isinstance(message, Ack):
        message.lag_ms = LATENCY_MS
    elif isinstance(message, Error):
        complete_error(message)
    return dict(json.loads(wire.encode(message)))
