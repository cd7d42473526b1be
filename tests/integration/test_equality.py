"""The property the product stands on: the same audio gives the same segments and verdict, however it is cut, wrapped and sent.

Formats x roads: `/v1/stream` by start and by query, binary and base64, `/v1/detect` as multipart, raw body and JSON, and the CLI's code path.
Also eight sessions at once, `voxproof check`, and real speech through the model that comes with the program.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import json
import os
import subprocess
from pathlib import Path

import httpx2
import pytest

from app.scoring.load import Detector, load
from tests.integration.material import (
    FORMATS,
    assert_same,
    changing,
    cut,
    encoded,
    mixed,
    outcome_here,
    outcome_of_answer,
    outcome_of_rows,
    wav_of,
)
from tests.integration.server import ROOT, VOXPROOF, Server
from tests.integration.talk import Row, stream, talk

MARGIN = 0.01  # how far from every threshold a clip must stay for its verdicts to be the same at any batch size


def audio_of(encoding: str, rate: int, channels: int) -> Row:
    return {"encoding": encoding, "sample_rate": rate, "channels": channels}


async def by_query(server: Server, data: bytes, audio: Row, seed: int) -> list[Row]:
    query = "&".join(f"{name}={value}" for name, value in audio.items())
    async with talk(server.ws(f"/v1/stream?{query}")) as it:
        reader = asyncio.create_task(it.rest(60))
        await it.send(*cut(data, seed), "")
        assert await reader == 1000
        return it.rows


async def by_upload(server: Server, file: bytes) -> list[Row]:
    """The three forms of an upload."""
    async with httpx2.AsyncClient(base_url=server.http, timeout=60) as http:
        answers = [
            await http.post("/v1/detect", files={"file": ("x.bin", file, "text/plain")}),
            await http.post("/v1/detect", content=file, headers={"content-type": "audio/wav"}),
            await http.post("/v1/detect", json={"audio_base64": base64.b64encode(file).decode()}),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200], [answer.text for answer in answers]
    return [answer.json() for answer in answers]


@pytest.mark.parametrize(("encoding", "rate", "channels"), FORMATS)
async def test_every_road_gives_the_same_outcome(server: Server, detector: Detector, encoding: str, rate: int, channels: int) -> None:
    data = encoded(changing(rate, channels), encoding)
    file, audio = wav_of(data, encoding, rate, channels), audio_of(encoding, rate, channels)
    wanted = await outcome_here(file, detector)
    assert wanted["verdict"] == "spoof" and wanted["duration_ms"] == 7000
    assert len(wanted["segments"]) == 13 * channels
    assert {segment["verdict"] for segment in wanted["segments"]} >= {"bonafide", "spoof"}

    streamed = [
        await stream(server.ws(), [data[at : at + 900_000] for at in range(0, len(data), 900_000)], audio),
        await stream(server.ws(), cut(data, seed=1), audio),
        await stream(server.ws(), mixed(data, seed=2), audio),
        await by_query(server, data, audio, seed=3),
    ]
    for rows in streamed:
        assert_same(outcome_of_rows(rows), wanted)
    # What only a stream has must not depend on the cuts either.
    live = [[row for row in rows if row["type"] in ("verdict", "alert")] for rows in streamed]
    for rows in live[1:]:
        assert_same([{**row, "seq": 0} for row in rows], [{**row, "seq": 0} for row in live[0]])
    for answer in await by_upload(server, file):
        assert_same(outcome_of_answer(answer), wanted)


async def test_single_bytes(server: Server, detector: Detector) -> None:
    data = encoded(changing(8000, 1)[: 8000 * 4], "mulaw")[:9001]
    wanted = await outcome_here(wav_of(data, "mulaw", 8000, 1), detector)
    rows = await stream(server.ws(), (data[at : at + 1] for at in range(len(data))), audio_of("mulaw", 8000, 1))
    assert_same(outcome_of_rows(rows), wanted)
    assert max(ack["frames"] for ack in rows if ack["type"] == "ack") == 8000  # one message a byte arrived as one


async def test_a_half_sample_at_the_end_is_not_audio(server: Server) -> None:
    data = encoded(changing(16000, 1), "pcm_s16le")
    whole, odd = await stream(server.ws(), [data]), await stream(server.ws(), [data, b"\x7f"])
    assert_same(outcome_of_rows(odd), outcome_of_rows(whole))


async def test_eight_sessions_at_once_do_not_touch_each_other(server: Server, detector: Detector) -> None:
    jobs, wanted = [], []
    for number in range(8):
        encoding, rate, channels = FORMATS[number % len(FORMATS)]
        data = encoded(changing(rate, channels, seed=number), encoding)
        wanted.append(await outcome_here(wav_of(data, encoding, rate, channels), detector))
        jobs.append(stream(server.ws(), mixed(data, seed=number), audio_of(encoding, rate, channels)))
    assert len({json.dumps(each) for each in wanted}) == 8  # eight different sounds: mixing them up would show
    for rows, alone in zip(await asyncio.gather(*jobs), wanted, strict=True):
        assert_same(outcome_of_rows(rows), alone)


async def test_config_means_the_same_on_every_road(server: Server, detector: Detector) -> None:
    data = encoded(changing(44100, 2), "pcm_s16le")
    file, audio = wav_of(data, "pcm_s16le", 44100, 2), audio_of("pcm_s16le", 44100, 2)
    config: Row = {"profile": "strict", "hop_seconds": 0.75, "detail": "full", "channel_mode": "mix", "threshold": 0.9}
    wanted = await outcome_here(file, detector, **config)
    assert len(wanted["channels"]) == 1 and wanted["segments"][0]["quality"]
    assert_same(outcome_of_rows(await stream(server.ws(), cut(data, 5), audio, config=config)), wanted)
    answer = httpx2.post(server.http + "/v1/detect", params=config, content=file, timeout=30)
    assert_same(outcome_of_answer(answer.json()), wanted)


def test_the_command_line_agrees(toy: Path, server: Server, tmp_path: Path) -> None:
    encoding, rate, channels = FORMATS[1]
    file = tmp_path / "clip.wav"
    file.write_bytes(wav_of(encoded(changing(rate, channels), encoding), encoding, rate, channels))
    env = {**os.environ, "VOXPROOF_MODEL": str(toy), "PYTHONPATH": str(ROOT)}
    command = [*VOXPROOF, "check", "--json", str(file)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = [json.loads(text) for text in done.stdout.splitlines()]
    answer = httpx2.post(server.http + "/v1/detect", content=file.read_bytes(), timeout=30).json()
    for name in ("verdict", "score", "llr", "speech_ms", "duration_ms"):
        assert_same({name: line[name]}, {name: answer[name]})
    if isinstance(line["segments"], list):
        assert_same(outcome_of_answer({"segments": line["segments"]}), outcome_of_answer({"segments": answer["segments"]}))


@pytest.mark.data
async def test_real_speech_with_the_bundled_model(shared_data: Path, tmp_path: Path) -> None:
    if not (ROOT / "models" / "light" / "card.json").is_file():
        pytest.skip("models/light is not there yet")
    detector = load("light", ROOT / "models")
    clips: dict[bytes, Row] = {}
    with (shared_data / "manifest.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            taken = sum(1 for file in clips.values() if file["label"] == row["label"])
            if row["split"] != "dev" or taken == 2 or float(row["duration_s"]) < 3:
                continue
            file = (shared_data / row["path"]).read_bytes()
            wanted = await outcome_here(file, detector)
            if clear(wanted, detector):
                clips[file] = {"label": row["label"], "wanted": wanted}
            if len(clips) == 4:
                break
    assert len(clips) == 4
    with Server(tmp_path, ROOT / "models" / "light") as server:
        await asyncio.gather(*(by_both_roads(server, file, clip["wanted"]) for file, clip in clips.items()))
        assert not server.traces()


async def by_both_roads(server: Server, file: bytes, wanted: Row) -> None:
    import io

    import soundfile

    samples, rate = soundfile.read(io.BytesIO(file), dtype="int16")
    data = encoded(samples, "pcm_s16le")
    assert_same(outcome_of_rows(await stream(server.ws(), mixed(data, seed=9), audio_of("pcm_s16le", rate, 1))), wanted)
    async with httpx2.AsyncClient(timeout=60) as http:
        answer = await http.post(server.http + "/v1/detect", content=file)
    assert_same(outcome_of_answer(answer.json()), wanted)


def clear(outcome: Row, detector: Detector) -> bool:
    """Whether no llr of it lies near a threshold."""
    point = detector.model.points[detector.model.default_profile]
    llrs = [each["llr"] for each in (outcome, *outcome["segments"]) if each["llr"] is not None]
    return bool(llrs) and all(min(abs(llr - point.spoof_llr), abs(llr - point.bonafide_llr)) > MARGIN for llr in llrs)
