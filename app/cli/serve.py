"""`voxproof serve`: flags over settings; `server` does the work."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.options import LogLevel, ModelOption, read_settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (default: VOXPROOF_HOST, or 127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one (default: VOXPROOF_PORT, or 8000).")] = None,
    model: ModelOption = None,
    log_level: Annotated[LogLevel | None, typer.Option(help="What to log; debug logs each request too.")] = None,
) -> None:
    """Run the server: live streams, uploads and the recording page.

    Flags come before VOXPROOF_ variables, those before .env. Exits with 1 when the address cannot be had, with 2 when the model cannot be used.
    """
    from app.cli.server import run

    run(read_settings(host=host, port=port, model=model, log_level=log_level))
