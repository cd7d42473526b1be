"""`voxproof db upgrade|downgrade|current`: the schema's steps by hand, for who lets no server do them (VOXPROOF_MIGRATE_ON_START=false)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import fail, read_settings

if TYPE_CHECKING:
    from app.store.urls import Place

UNREACHABLE, BAD_SETTING = 1, 2

db = typer.Typer(name="db", help="Bring the database's schema up or down.", no_args_is_help=True, rich_markup_mode=None)

RevisionArgument = Annotated[str, typer.Argument(help="Revision to go to: a name, head (the newest), base (none), +1 or -1.")]
UrlOption = Annotated[str | None, typer.Option("--database-url", help="Another database than VOXPROOF_DATABASE_URL's.", show_default=False)]


@db.command()
def upgrade(revision: RevisionArgument = "head", database_url: UrlOption = None) -> None:
    """Bring the schema up; what is there already stays."""
    _run("upgrade", revision, database_url)


@db.command(context_settings={"ignore_unknown_options": True})  # -1 is no option
def downgrade(revision: RevisionArgument, database_url: UrlOption = None) -> None:
    """Bring the schema down. What the older one has no place for is deleted."""
    _run("downgrade", revision, database_url)


@db.command()
def current(database_url: UrlOption = None) -> None:
    """Print the database's revision, and the newest when they differ."""
    _run("current", "", database_url)


def _run(step: str, revision: str, database_url: str | None) -> None:
    from app.core.errors import BadSetting, StoreUnavailable
    from app.store.db import Database

    settings = read_settings(database_url=database_url)
    logging.basicConfig(level="WARNING", format="%(levelname)s %(name)s: %(message)s")
    try:
        database = Database(settings.database_url, settings.data_dir)
    except BadSetting as exc:
        fail(exc.message, BAD_SETTING)
    if not database.exists() and step != "upgrade":
        typer.echo("no database yet")
        raise typer.Exit(0)
    try:
        if step == "current":
            _print_current(database.place)
        else:
            _go(step, database.place, revision)
    except (StoreUnavailable, OSError) as exc:
        reason = exc.__cause__ if isinstance(exc, StoreUnavailable) and exc.__cause__ else exc
        fail(f"the database cannot be reached: {reason}", UNREACHABLE)


def _go(step: str, place: Place, revision: str) -> None:
    from app.store import migrate
    from app.store.db import prepare_file

    if place.file is not None:
        prepare_file(place.file)
    try:
        (migrate.upgrade if step == "upgrade" else migrate.downgrade)(place, revision)
    except migrate.NoSuchRevision as exc:
        fail(str(exc), BAD_SETTING)
    _print_current(place)


def _print_current(place: Place) -> None:
    from app.store import migrate

    found, newest = migrate.current(place), migrate.head()
    typer.echo(f"{found or 'no schema'}" + (" (newest)" if found == newest else f" (newest: {newest})"))
