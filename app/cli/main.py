"""The `voxproof` command: the commands' names and nothing else. `--help` loads neither a server nor a decoder: commands import what they need."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from app import __version__
from app.cli.check import check
from app.cli.db import db
from app.cli.keys import keys
from app.cli.options import fail
from app.cli.serve import serve
from app.cli.stream import stream

app = typer.Typer(
    name="voxproof",
    help="Tells whether the voice in a recording, or on a live line, is a person's or a machine's.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: it comes sooner, and brackets in a text stay brackets
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(check)
app.command()(stream)
app.add_typer(db)
app.add_typer(keys)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"voxproof {__version__}")
        raise typer.Exit()


@app.callback()
def voxproof(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)] = False,
) -> None:
    pass


# The words after `lab` belong to the lab's own commands, `--help` too.
@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def lab(context: typer.Context) -> None:
    """Train and export detectors (needs the extra `lab`)."""
    try:
        commands: typer.Typer = importlib.import_module("app.lab.cli").app  # named at run time: the program must work without the lab
        commands(args=context.args, prog_name="voxproof lab", standalone_mode=False)
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").split(".")[0]
        if missing == "app" and exc.name != "app.lab":
            raise
        fail(f"the lab needs packages that are not installed ({missing or exc}): pip install 'voxproof[lab]'", 2)


def main() -> None:
    app(prog_name="voxproof")


if __name__ == "__main__":
    main()
