"""`voxproof lab classic`: draw, fit, calibrate, export, in one go of about ten minutes on one core. Out goes a model folder.

Nothing is chosen here: sizes and features stand in `ensemble.Sizes` and `features.NAMES` (chosen on `dev` beforehand). The windows of `dev` give the
scale and bias of each member and of their mean, and the operating points; the server's own session must then agree. The same seed, stores
and augmentation give the same model. The drawn windows' features are kept in `runs`, so that a run that was stopped need not draw again.
"""

import datetime
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skl2onnx
import sklearn
import torch
from threadpoolctl import threadpool_limits

from app.lab import calibrate
from app.lab.classic import export
from app.lab.classic.draw import Windows, clip_windows, fitted, session_scores, training_windows
from app.lab.classic.ensemble import Ensemble, Sizes, fit_ensemble
from app.lab.classic.features import NAMES, SAMPLES
from app.lab.config import RATE, Recipe, plain
from app.lab.data import Store
from app.lab.export import commit
from app.lab.metrics import auc, eer
from app.lab.served import llrs

WINDOWS, SEED = 9_000, 1
CHECKED = 40
"""Clips of `dev`, from end to end of it, on which the file is compared with scikit-learn, and the server with the lab."""
SERVER_TOLERANCE = 0.01


def make(recipe: Recipe, folder: Path, runs: Path, count: int = WINDOWS, sizes: Sizes = Sizes(), say: Callable[[str], None] = print) -> Ensemble:
    """Write classic.onnx and card.json into `folder`."""
    began = time.monotonic()

    def note(text: str) -> None:
        say(f"{time.monotonic() - began:4.0f} s  {text}")

    torch.set_num_threads(1)
    for path in (runs, folder):
        path.mkdir(parents=True, exist_ok=True)
    dev = Store(recipe.cache, "dev")
    with threadpool_limits(1):
        features = export.write_features(runs / "features.onnx")
        graph = export.Graph(features, "features")
        seen = kept(runs / "train.npz", lambda: training_windows(recipe, graph, count, SEED))
        note(f"{len(seen.spoof)} training windows, {seen.spoof.mean():.0%} spoofed, {len(NAMES)} features")
        judged = kept(runs / "dev.npz", lambda: clip_windows(dev, graph))
        note(f"{len(judged.spoof)} windows of dev")
        ensemble = fit_ensemble(seen.features, seen.spoof, SEED, sizes, note)
        found, members = calibrate_members(ensemble, judged, dev)
        note(", ".join(f"{name}: dev EER {each['eer']:.1%}, AUC {each['auc']:.3f}" for name, each in members.items()))
        export.write_model(ensemble, features, folder / export.FILE)
    some = range(0, len(dev), max(1, len(dev) // CHECKED))
    parity = export.compare(folder / export.FILE, ensemble, np.stack([fitted(dev[number][:SAMPLES]) for number in some]))
    training = {"sizes": vars(sizes), "parity_with_scikit_learn": parity, **provenance(recipe, len(seen.spoof))}
    figures = {"dev": members.pop("mean") | {"members": members, "cllr_by_duration": found.cllr}}
    export.write_card(folder, (found.scale, found.bias), found.operating_points, training, figures)
    difference = served_differently(folder, dev, some, found.scale * scores(ensemble, judged, len(dev)) + found.bias)
    size = (folder / export.FILE).stat().st_size / 1e6
    note(f"{folder}: {size:.1f} MB; differs from scikit-learn by {parity:.2g}, from the server by {difference:.2g}")
    return ensemble


def calibrate_members(ensemble: Ensemble, judged: Windows, dev: Store) -> tuple[calibrate.Calibration, dict[str, dict]]:
    """Make each member's output a log-odds, each clip counting once; then the mean of them an llr. Also EER and AUC of each alone."""
    each_clip_once = 1 / np.bincount(judged.clip, minlength=len(dev))[judged.clip]
    outputs, spoof = ensemble.outputs(judged.features), judged.spoof
    for name, raw in outputs.items():
        ensemble.maps[name] = calibrate.fit(raw[~spoof], raw[spoof], each_clip_once[~spoof], each_clip_once[spoof])
    mean = ensemble.mean(outputs)
    is_spoof = np.array([clip.spoof for clip in dev.clips])
    heard = [_heard(mean[rows], judged.new[rows] / RATE) for rows in (np.flatnonzero(judged.clip == number) for number in range(len(dev)))]
    found = calibrate.calibrated(heard, is_spoof, [clip.system for clip in dev.clips], 0.5)
    members = {}
    for name, raw in (*outputs.items(), ("mean", found.scale * mean + found.bias)):
        llr = np.nan_to_num(session_scores(judged, raw, len(dev)))
        members[name] = {"eer": round(eer(llr[~is_spoof], llr[is_spoof]), 4), "auc": round(auc(llr[~is_spoof], llr[is_spoof]), 4)}
    return found, members


def _heard(raw: np.ndarray, new_s: np.ndarray) -> calibrate.Windows:
    """One clip's windows, as calibration wants them."""

    def after(speech_s: float) -> float:
        stop = int(np.searchsorted(np.cumsum(new_s), speech_s)) + 1
        weight = new_s[:stop].sum()
        return float((new_s[:stop] * raw[:stop]).sum() / weight) if weight else float("nan")

    return calibrate.Windows(raw.tolist(), after(np.inf), {seconds: after(seconds) for seconds in calibrate.SPEECH_S})


def scores(ensemble: Ensemble, judged: Windows, clips: int) -> np.ndarray:
    return session_scores(judged, ensemble.score(judged.features), clips)


def served_differently(folder: Path, dev: Store, some: range, llr: np.ndarray) -> float:
    """How far the server's llrs of some clips are from the lab's. RuntimeError above `SERVER_TOLERANCE`."""
    served = llrs(folder, (dev[number] for number in some))
    if (np.isnan(served) != np.isnan(llr[some])).any() or not np.nanmax(np.abs(served - llr[some])) <= SERVER_TOLERANCE:
        raise RuntimeError("the server and the lab differ: " + ", ".join(f"{a:.3f} / {b:.3f}" for a, b in zip(served, llr[some], strict=True)))
    return float(np.nanmax(np.abs(served - llr[some])))


def kept(path: Path, make_windows: Callable[[], Windows]) -> Windows:
    """From the file, or made and put there."""
    if not path.exists():
        part = path.with_suffix(".part.npz")
        np.savez(part, **vars(make_windows()))
        part.replace(path)
    with np.load(path) as columns:
        return Windows(**columns)


def provenance(recipe: Recipe, windows: int) -> dict:
    """What the card says of the training, apart from sizes."""
    return {
        "seed": SEED,
        "windows": windows,
        "features": len(NAMES),
        "stores": sorted(path.stem for path in recipe.cache.glob("*.json") if path.stem.startswith(("train", "copies", "synth"))),
        "data": "shared/data, split train (3,935 bona fide and 4,214 spoofed clips), copies of the bona fide ones, lab synth; drawn and degraded "
        "by app/lab/augment.py, both classes alike; nothing pre-trained",
        "licences": "as in the manifest's licence column; no NC, ND or research-only source is in train; most repositories state none for audio",
        "command": "voxproof lab data && voxproof lab classic",
        "chosen_by": "features and sizes by dev EER and AUC; members' and final calibration and operating points fitted on dev",
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "augment": plain(recipe)["augment"],
        "scikit-learn": sklearn.__version__,
        "skl2onnx": skl2onnx.__version__,
        "torch": torch.__version__,
    }
