"""The lab's commands: data, train, evaluate, calibrate, export. Mounted as `voxproof lab`, also `python -m app.lab`.

Heavy imports stand inside the commands, so that `--help` answers at once.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(name="lab", help="Train, measure and export detectors.", no_args_is_help=True)

RecipePath = Annotated[Path, typer.Option("--recipe", help="TOML file of `app.lab.config.Recipe`.")]
ModelPath = Annotated[Path, typer.Option("--model", help="Folder with card.json and the ONNX files.")]
CheckpointPath = Annotated[Path | None, typer.Option("--checkpoint", help="Default: the run's best.pt.")]
DEFAULT_RECIPE, DEFAULT_MODEL = Path("models/light/recipe.toml"), Path("models/light")


@app.command()
def data(recipe: RecipePath = DEFAULT_RECIPE, workers: int = 2) -> None:
    """Decode the shared clips and make the copy-synthesised and re-coded ones (about 15 minutes on two cores, 3 GB)."""
    from app.lab.config import read_recipe
    from app.lab.data import build

    settings = read_recipe(recipe)
    build(settings.data, settings.cache, settings.train.seed, workers, typer.echo)


@app.command()
def train(
    recipe: RecipePath = DEFAULT_RECIPE,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    until: Annotated[str, typer.Option(help="Stop after the epoch in which this clock time (HH:MM, the next one) falls.")] = "",
) -> None:
    """Train, or go on with a run that was stopped; the best epoch on `dev` is kept as best.pt."""
    import torch

    from app.lab.config import read_recipe
    from app.lab.evaluate import judge_on_dev
    from app.lab.train import train as run

    settings = read_recipe(recipe)
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    best = run(settings, chosen, judge_on_dev(settings, chosen), _clock(until), typer.echo)
    typer.echo(f"best: {best}")


@app.command()
def calibrate(recipe: RecipePath = DEFAULT_RECIPE, checkpoint: CheckpointPath = None) -> None:
    """Fit scale, bias and operating points on `dev`; written beside the checkpoints as calibration.json."""
    import json

    from app.lab.calibrate import calibrate_on
    from app.lab.config import read_recipe
    from app.lab.data import Store
    from app.lab.evaluate import score_store
    from app.lab.train import load_average
    from app.lab.windows import TorchScorer

    settings = read_recipe(recipe)
    model, trained, _ = load_average(checkpoint or settings.runs / "best.pt")
    dev = Store(settings.cache, "dev")
    scores = score_store(TorchScorer(model, trained.net), dev, settings.speech_threshold)
    found = calibrate_on(scores, [clip.spoof for clip in dev.clips], settings.speech_threshold)
    (settings.runs / "calibration.json").write_text(json.dumps(found.plain(), indent=1))
    typer.echo(json.dumps(found.plain(), indent=1))


@app.command()
def export(recipe: RecipePath = DEFAULT_RECIPE, model: ModelPath = DEFAULT_MODEL, checkpoint: CheckpointPath = None) -> None:
    """Write encoder.onnx, head.onnx and card.json; refuses if onnxruntime does not agree with torch."""
    import json

    from app.lab.calibrate import Calibration
    from app.lab.config import read_recipe
    from app.lab.export import export as write
    from app.lab.export import provenance
    from app.lab.train import load_average

    settings = read_recipe(recipe)
    net, trained, line = load_average(checkpoint or settings.runs / "best.pt")
    calibration = Calibration(**json.loads((settings.runs / "calibration.json").read_text()))
    if trained.net != settings.net:
        raise typer.BadParameter("the checkpoint is of a net of other sizes than the recipe's")
    made = write(net, settings, calibration, model, provenance(recipe, line["epoch"] + 1), {})
    typer.echo(f"{made.card}: torch and onnxruntime differ by {made.parity:.2g} at most")


@app.command()
def evaluate(
    model: ModelPath = DEFAULT_MODEL,
    recipe: RecipePath = DEFAULT_RECIPE,
    split: Annotated[list[str] | None, typer.Option(help="dev, eval; may be repeated. Default: dev. Choose nothing by eval.")] = None,
    sounds: Annotated[bool, typer.Option(help="Also test what is called speech, robustness, and the cost.")] = False,
    music: Annotated[Path | None, typer.Option(help="A folder of recorded music for --sounds.")] = None,
    write: Annotated[bool, typer.Option(help="Put the figures into the card.")] = False,
) -> None:
    """EER and AUC through the server's own session, beside the published detectors on the same clips."""
    from app.lab.config import read_recipe
    from app.lab.publish import measure_model, show

    found = measure_model(model, read_recipe(recipe), split or ["dev"], sounds, music, typer.echo)
    typer.echo(show(found, model.name))
    if write:
        from app.lab.publish import into_card

        into_card(model, found)


@app.command()
def ablate(recipe: RecipePath = DEFAULT_RECIPE) -> None:
    """What single choices are worth on `dev`: scoring variants and epochs of one run, as a Markdown table."""
    from app.lab.ablate import ablate as run
    from app.lab.config import read_recipe

    typer.echo(run(read_recipe(recipe)))


def _clock(text: str) -> float:
    """HH:MM -> the next such time, seconds since the epoch; empty = never."""
    if not text:
        return float("inf")
    now = time.localtime()
    hours, minutes = (int(part) for part in text.split(":"))
    seconds = (hours - now.tm_hour) * 3600 + (minutes - now.tm_min) * 60 - now.tm_sec
    return time.time() + seconds % 86400
