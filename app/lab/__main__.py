"""`python -m app.lab` runs the same commands as `voxproof lab`."""

from app.lab.cli import app

app(prog_name="python -m app.lab")
