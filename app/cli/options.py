"""Options several commands share, and how a command says what is wrong with them: one line on stderr, never a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

if TYPE_CHECKING:
    from app.core.wire import Config
    from app.settings import Settings

Profile = Literal["fast", "balanced", "strict"]
ChannelMode = Literal["separate", "mix"]
LogLevel = Literal["debug", "info", "warning", "error"]

VERDICTS = ("spoof", "uncertain", "no_speech")

ModelOption = Annotated[str | None, typer.Option("--model", help="Detector: a name in models/ or the path of a model folder.")]
ProfileOption = Annotated[Profile | None, typer.Option("--profile", help="Operating point: how much evidence a verdict takes.")]
ThresholdOption = Annotated[float | None, typer.Option("--threshold", help="Score from which a voice counts as spoofed, instead of the profile's.")]
ChannelsOption = Annotated[ChannelMode | None, typer.Option("--channel-mode", help="Judge two channels separately, or mix them into one.")]
HopOption = Annotated[float | None, typer.Option("--hop-seconds", help="Seconds from one scored window to the next.")]
FailOnOption = Annotated[
    list[str] | None,
    typer.Option("--fail-on", metavar="VERDICT", help="Exit with 1 on this verdict (spoof, uncertain, no_speech); repeat it, or separate by commas."),
]


def fail(message: str, code: int) -> NoReturn:
    """One line for the person, and the exit code for the script."""
    typer.echo(f"voxproof: {message.rstrip('.')}.", err=True)
    raise typer.Exit(code)


def read_settings(**flags: Any) -> Settings:
    """The settings, with the flags that were given put over them. Exits with 2 when one of them is not acceptable."""
    from app.settings import Settings

    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValueError as exc:  # pydantic's error for a value, or pydantic-settings' for one that is not JSON
        problems = exc.errors() if hasattr(exc, "errors") else []
        words = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in problems]
        fail("a setting (flag, VOXPROOF_ variable or .env) is not acceptable: " + ("; ".join(words) or str(exc)), 2)


def read_config(**flags: Any) -> Config:
    """What a session is asked for. Exits with 2 when a value is not acceptable."""
    from app.core import wire
    from app.core.errors import BadConfig

    try:
        return wire.config_from_query({name: str(value) for name, value in flags.items() if value is not None})
    except BadConfig as exc:
        fail(exc.message.replace("config.", "--").replace("_", "-"), 2)


def read_fail_on(named: list[str] | None) -> frozenset[str]:
    """`--fail-on` as a set. Exits with 2 for a word that is no verdict."""
    words = [word.strip() for item in named or [] for word in item.split(",") if word.strip()]
    for word in words:
        if word not in VERDICTS:
            fail(f"--fail-on takes {', '.join(VERDICTS)}, not {word!r}", 2)
    return frozenset(words)
