"""`voxproof check`: files scored on this machine, without a server, by the very code behind POST /v1/detect.

One outcome per file, a dict: `file` and the fields of /v1/detect's answer, or `file` and `error{code, message}`. With --json each is a line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import (
    ChannelsOption,
    FailOnOption,
    HopOption,
    ModelOption,
    ProfileOption,
    ThresholdOption,
    fail,
    read_config,
    read_fail_on,
    read_settings,
)

if TYPE_CHECKING:
    from app.cli.progress import Progress
    from app.core.wire import Config
    from app.scoring.load import Detector
    from app.service.decode import DecodeLimits
    from app.settings import Settings

Outcome = dict[str, Any]

FOUND, FAILED = 1, 2


def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Audio files of any usual kind; - reads one from standard input.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, for scripts.")] = False,
    model: ModelOption = None,
    profile: ProfileOption = None,
    threshold: ThresholdOption = None,
    channel_mode: ChannelsOption = None,
    hop_seconds: HopOption = None,
    fail_on: FailOnOption = None,
    max_seconds: Annotated[float | None, typer.Option(min=1, help="Refuse audio longer than this (default: VOXPROOF_MAX_AUDIO_SECONDS).")] = None,
) -> None:
    """Check recordings on this machine, without a server.

    Exit codes: 0 when every file was checked; 1 when a verdict named by --fail-on was found, even if other files failed; 2 when a file, or the
    model, could not be used and no such verdict was found.
    """
    wanted = read_fail_on(fail_on)
    config = read_config(profile=profile, threshold=threshold, channel_mode=channel_mode, hop_seconds=hop_seconds)
    settings = read_settings(model=model, max_audio_seconds=max_seconds)
    outcomes = run(files, load_detector(settings), config, settings, json=json)
    if any(outcome.get("verdict") in wanted for outcome in outcomes):
        raise typer.Exit(FOUND)
    if any("error" in outcome for outcome in outcomes):
        raise typer.Exit(FAILED)


def load_detector(settings: Settings) -> Detector:
    from app.core.errors import ModelError
    from app.scoring.load import load

    try:
        return load(settings.model, settings.models_dir)
    except ModelError as exc:
        fail(exc.message, FAILED)


def run(files: Iterable[str], detector: Detector, config: Config, settings: Settings, *, json: bool) -> list[Outcome]:
    """Checks each file and prints what came of it: lines as they come, a table at the end. Exits with 2 when the model cannot do as `config` says."""
    from app.cli import show
    from app.cli.progress import Progress
    from app.core.errors import BadConfig
    from app.service.decode import DecodeLimits

    # Nobody else waits for this decoder, so it has all the time it wants.
    limits = DecodeLimits(max_seconds=settings.max_audio_seconds, max_channels=settings.max_audio_channels, timeout_seconds=float("inf"))
    outcomes: list[Outcome] = []
    try:
        with Progress() as progress:
            for file in files:
                outcomes.append(asyncio.run(check_file(file, detector, config, limits, progress)))
                progress.clear()
                if json:
                    show.json_line(outcomes[-1])
    except BadConfig as exc:
        fail(exc.message, FAILED)
    finally:  # Ctrl-C, too, leaves what is known
        if not json and outcomes:
            show.table(outcomes)
    return outcomes


async def check_file(name: str, detector: Detector, config: Config, limits: DecodeLimits, progress: Progress) -> Outcome:
    """The outcome for one file. Raises BadConfig only: it would be the same for every file."""
    from app.cli.sources import FileProblem, LocalAudio, opened, sha256_of, unreadable
    from app.core.errors import BadConfig, VoxproofError
    from app.core.messages import Message, Segment
    from app.service.decode import open_audio
    from app.service.detect import detect, local

    try:
        with opened(name) as file:
            sha256 = sha256_of(file)
            with open_audio(file, limits) as audio:
                moved = progress.follow(name, file)

                def on_message(message: Message) -> None:
                    if isinstance(message, Segment):
                        moved(message.end_ms)

                score = local(detector.scorer)
                result = await detect(LocalAudio(audio), detector.model, score, config, max_seconds=limits.max_seconds, on_message=on_message)
    except BadConfig:
        raise
    except (FileProblem, VoxproofError, OSError) as exc:
        problem = unreadable(exc) if isinstance(exc, OSError) else exc
        return {"file": name, "error": {"code": problem.code, "message": problem.message}}
    content = result.content()
    del content["session_id"]  # made up for each run; without it the same file gives the same line
    return {"file": name, **content, "sha256": sha256}
