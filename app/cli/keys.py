"""`voxproof keys`: makes, lists, ends and replaces API keys in the server's database. A running server sees it within seconds.

A new key goes to stdout, alone, and what is to be said about it to stderr, so that `KEY=$(voxproof keys create ci)` works.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.cli.options import fail, read_settings
from app.cli.show import clean, json_line

if TYPE_CHECKING:
    from app.service.keys import Key, KeyRing, NewKey

T = TypeVar("T")

PROBLEM, USAGE = 1, 2
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
MAX_SECONDS = 100 * 366 * 86_400
NAME_CHARACTERS = 200
OWNER = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON a key, for a pipe.")]
NamedArgument = Annotated[str, typer.Argument(metavar="ID", help="Id or prefix of a key, as `voxproof keys list` shows it.")]

keys = typer.Typer(
    name="keys",
    help="Make, list, end and replace API keys. They are in the database of VOXPROOF_DATABASE_URL or VOXPROOF_DATA_DIR.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for; shown in lists.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            help="What it may do: detect, stream, tasks, enroll, reports, admin; repeat it, or separate by commas. By default the first four.",
        ),
    ] = None,
    expires: Annotated[str | None, typer.Option("--expires", metavar="TIME", help="How long it is good: 90d, 12h … By default for ever.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Whose sessions and reports it sees. By default an owner of its own.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown this once, and stored only as a hash."""
    from app.service.access import SCOPES
    from app.service.keys import DEFAULT_SCOPES

    scopes = [word.strip() for item in scope or DEFAULT_SCOPES for word in item.split(",") if word.strip()]
    for word in scopes:
        if word not in SCOPES:
            fail(f"--scope takes {', '.join(SCOPES)}, not {clean(word)!r}", USAGE)
    if not scopes:
        fail("a key needs a scope", USAGE)
    if not 1 <= len(name) <= NAME_CHARACTERS or not name.isprintable():
        fail(f"a name has 1 to {NAME_CHARACTERS} printable characters", USAGE)
    if owner is not None and not OWNER.fullmatch(owner):
        fail("--owner takes up to 64 letters, digits, dots, hyphens and underscores", USAGE)
    lifetime_s = None if expires is None else seconds_of(expires, "--expires", least=1)
    new = with_ring(lambda ring: ring.create(name, scopes, owner=owner, lifetime_s=lifetime_s))
    _show_new(new, as_json)


@keys.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List all keys, also those that have ended."""
    found = with_ring(lambda ring: ring.every())
    for key in found if as_json else []:
        json_line(facts(key))
    if not as_json:
        if not found:
            typer.echo("There are no keys; make one with: voxproof keys create NAME", err=True)
            return
        rows = [("ID", "PREFIX", "NAME", "OWNER", "SCOPES", "STATE", "LAST USED"), *(_cells(key) for key in found)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@keys.command()
def revoke(named: NamedArgument, as_json: JsonOption = False) -> None:
    """End a key for good, with its tokens and its live streams."""
    key = with_ring(lambda ring: ring.revoke(named))
    if as_json:
        json_line(facts(key))
    else:
        typer.echo(f"Revoked {key.id} ({clean(key.name)}). Running servers follow within seconds; its live streams end within a minute.")


@keys.command()
def rotate(
    named: NamedArgument,
    keep: Annotated[str, typer.Option("--keep", metavar="TIME", help="How long the old key stays good: 24h, 30m, 0 …")] = "24h",
    as_json: JsonOption = False,
) -> None:
    """Replace a key without downtime. The new one has its owner, name, scopes and lifetime; the old one ends a while later."""
    keep_s = seconds_of(keep, "--keep", least=0)
    new, old = with_ring(lambda ring: ring.rotate(named, keep_s))
    _show_new(new, as_json, replaces=old)


def seconds_of(text: str, flag: str, least: int) -> float:
    """`24h`, `90d`, `45` (seconds). Exits with 2 when it is none of these."""
    found = re.fullmatch(r"(\d{1,9})([smhdw]?)", text.strip().lower(), re.ASCII)
    seconds = int(found[1]) * UNITS[found[2] or "s"] if found else -1
    if not least <= seconds <= MAX_SECONDS:
        fail(f"{flag} takes a time like 30m, 24h, 90d, not {clean(text)!r}", USAGE)
    return float(seconds)


def with_ring(work: Callable[[KeyRing], Awaitable[T]]) -> T:
    """Does it with the keys of the server's database. Exits with 1 when that cannot be, with 2 for a setting."""
    from app.core.errors import BadSetting, VoxproofError
    from app.service.keys import KeyRing
    from app.store.db import Database

    settings = read_settings()

    async def done() -> T:
        database = Database(settings.database_url, settings.data_dir, timeout_s=settings.database_timeout_seconds, migrate=settings.migrate_on_start)
        try:
            return await work(KeyRing(database))
        finally:
            await database.close()

    try:
        return asyncio.run(done())
    except VoxproofError as exc:
        fail(exc.message, USAGE if isinstance(exc, BadSetting) else PROBLEM)


def facts(key: Key) -> dict[str, Any]:
    """What JSON says of a key. Times are RFC 3339."""
    return {
        "id": key.id, "prefix": key.prefix, "name": key.name, "owner": key.owner, "scopes": sorted(key.scopes), "state": state_of(key),
        "created_at": stamp(key.created_at), "expires_at": stamp(key.expires_at), "revoked_at": stamp(key.revoked_at),
        "last_used_at": stamp(key.last_used_at),
    }  # fmt: skip


def state_of(key: Key) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.ended(time.time()) else "active"


def stamp(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _show_new(new: NewKey, as_json: bool, replaces: Key | None = None) -> None:
    if as_json:
        json_line({"key": new.secret, **facts(new.key), **({"replaces": facts(replaces)} if replaces else {})})
        return
    typer.echo(new.secret)
    key = new.key
    until = f"good until {stamp(key.expires_at)}" if key.expires_at else "good until it is revoked"
    typer.echo(f"Key {key.id} ({clean(key.name)}) of {key.owner}: {', '.join(sorted(key.scopes))}; {until}.", err=True)
    if replaces is not None:
        typer.echo(f"The old key {replaces.id} is good until {stamp(replaces.expires_at)}.", err=True)
    typer.echo("It is not shown again: keep it where secrets are kept.", err=True)


def _cells(key: Key) -> tuple[str, ...]:
    state = state_of(key)
    if state == "active" and key.expires_at is not None:
        state = f"until {stamp(key.expires_at)}"
    return key.id, key.prefix, clean(key.name), key.owner, ",".join(sorted(key.scopes)), state, stamp(key.last_used_at) or "never"
