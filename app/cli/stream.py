"""`voxproof stream`: a file, or raw PCM from standard input, to a server; the running verdict comes back line by line.

`live` drives the client; here are the options, and what each end of a stream means for the exit code.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from app.cli.options import ChannelsOption, FailOnOption, HopOption, ProfileOption, ThresholdOption, fail, read_config, read_fail_on

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]

FOUND, UNREADABLE, BROKEN = 1, 2, 3


def stream(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Audio file of any usual kind, or - for raw PCM on standard input.")],
    url: Annotated[str, typer.Option(help="Where the server listens.")] = "ws://127.0.0.1:8000/v1/stream",
    key: Annotated[
        str | None, typer.Option(envvar="VOXPROOF_API_KEY", help="API key or token; best given by the environment, which other users cannot read.")
    ] = None,
    real_time: Annotated[bool, typer.Option("--real-time", help="Send at the speed of speech, as a microphone would.")] = False,
    chunk_ms: Annotated[int, typer.Option(min=1, max=1000, help="Milliseconds of audio in one message.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="Print every message of the server as one JSON line.")] = False,
    profile: ProfileOption = None,
    threshold: ThresholdOption = None,
    channel_mode: ChannelsOption = None,
    hop_seconds: HopOption = None,
    fail_on: FailOnOption = None,
    retries: Annotated[int, typer.Option(min=0, help="How often in a row to connect again after a broken connection.")] = 5,
    raw: Annotated[bool, typer.Option("--raw", help="FILE holds raw PCM too, in the format of the next three options.")] = False,
    encoding: Annotated[Encoding, typer.Option(help="Samples of raw PCM.")] = "pcm_s16le",
    sample_rate: Annotated[int, typer.Option(min=8000, max=96000, help="Sample rate of raw PCM, in Hz.")] = 16000,
    channels: Annotated[int, typer.Option(min=1, max=2, help="Channels of raw PCM, interleaved.")] = 1,
) -> None:
    """Send audio to a server and print the running verdict.

    Ctrl-C ends the stream and prints the verdict so far. Exit codes: 0 at the end; 1 when --fail-on names the final verdict; 2 when the audio
    cannot be used; 3 when there is no connection, or the server gave up.
    """
    from app.cli import live
    from app.core import wire

    wanted = read_fail_on(fail_on)
    config = read_config(profile=profile, threshold=threshold, channel_mode=channel_mode, hop_seconds=hop_seconds)
    form = wire.Audio(encoding=encoding, sample_rate=sample_rate, channels=channels)
    manner = live.Manner(_address(url), config, real_time, chunk_ms, retries, json, key)
    ending = live.run(file, form if raw or file == "-" else None, manner)
    if ending.verdict in wanted:
        raise typer.Exit(FOUND)
    if ending.problem:
        fail(ending.problem, UNREADABLE if ending.local else BROKEN)


def _address(url: str) -> str:
    """http:// will do for ws://, and a server without a path means its live stream."""
    parts = urlsplit(url if "://" in url else f"ws://{url}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    try:
        usable = scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        fail(f"{url!r} is not the address of a server, such as ws://127.0.0.1:8000/v1/stream", UNREADABLE)
    path = parts.path if parts.path.strip("/") else "/v1/stream"
    return parts._replace(scheme=scheme, path=path).geturl()
