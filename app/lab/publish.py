"""All figures of a model folder, gathered by the `evaluate` command and put into its card."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.lab import activity, cost, robustness, sessions
from app.lab.config import Recipe, recipe_from
from app.lab.data import Store
from app.lab.evaluate import read_peers, report, score_store, table
from app.lab.served import llrs
from app.lab.windows import OnnxScorer

BEGIN, END = "<!-- figures: written by `voxproof lab evaluate --write` -->", "<!-- end of figures -->"
"""Between these lines of the model's README stand the figures of its card."""


def measure_model(folder: Path, recipe: Recipe, splits: list[str], sounds: bool, music: Path | None, say: Callable[[str], None]) -> dict:
    """Figures of each split through the server's session; with `sounds` also of speech activity, robustness and cost."""
    card = json.loads((folder / "card.json").read_text())
    frames = card["frames"]
    threshold = frames["speech_threshold"]
    scorer = OnnxScorer(folder, frames["left_samples"], frames["right_samples"])
    found: dict = {}
    for split in splits:
        store = Store(recipe.cache, split)
        served = llrs(folder, (store[i] for i in range(len(store))))
        ours = score_store(scorer, store, threshold)
        difference = np.abs(served - np.array([score.llr for score in ours]))
        if (np.isnan(served) != np.isnan([score.llr for score in ours])).any() or np.nanmax(difference) > 0.01:
            say(f"{split}: the server and the lab's own scoring differ, by {np.nanmax(difference):.3g}")
        peers = read_peers(recipe.data)
        found[split] = {**report(store.clips, ours, served, peers), "server_and_lab_differ_by": round(float(np.nanmax(difference)), 6)}
        found[split]["at_operating_points"] = at_points(card["operating_points"], served, [clip.spoof for clip in store.clips])
    if sounds:
        found["speech_refused"] = activity.refusal(scorer, recipe.cache, music, threshold=threshold)
        found["speech_kept"] = activity.recall(scorer, recipe.cache, threshold=threshold)
        found["long_sessions"] = sessions.measure(folder, recipe.cache)
        found["robustness"] = robustness.measure(scorer, recipe.cache, threshold)
        net = recipe_from({"net": card["training"]["recipe"]["net"]}).net
        macs = cost.multiplications(net)
        found["cost"] = {**cost.measure(scorer, net.embedding_size), "million_macs_per_audio_second": macs, "bytes": cost.sizes(folder)}
    return found


def at_points(points: dict, llr: np.ndarray, spoof: list[bool]) -> dict:
    """Operating point -> shares of each class per verdict; a clip without an answer is in none."""
    kind, out = np.array(spoof), {}
    for name, point in points.items():
        high, low = llr >= point["spoof_llr"], llr <= point["bonafide_llr"]
        out[name] = {
            "bonafide_called_spoof": round(float(high[~kind].mean()), 4),
            "bonafide_called_bonafide": round(float(low[~kind].mean()), 4),
            "spoof_called_spoof": round(float(high[kind].mean()), 4),
            "spoof_called_bonafide": round(float(low[kind].mean()), 4),
        }
    return out


def show(found: dict, name: str) -> str:
    """The figures, for people."""
    parts = [f"== {split} ==\n{table(found[split], name)}" for split in ("dev", "eval") if split in found]
    if "speech_refused" in found:
        parts.append("== sounds that are not speech: share of 4 s windows refused, most speech seen ==")
        parts += [f"  {kind:36} {v['refused']:6.1%} of {v['windows']:3}  {v['most_speech_s']:5.2f} s" for kind, v in found["speech_refused"].items()]
        parts.append("== speech frames kept ==\n" + "\n".join(f"  {key:24} {value}" for key, value in found["speech_kept"].items()))
        parts.append("== dev clips joined to long calls, share per verdict ==")
        for seconds, kinds in found["long_sessions"].items():
            parts += [f"  {seconds} s, {kind}: {kinds[kind]}" for kind in ("bona fide", "with a spoofed stretch")]
        parts.append("== 300 dev clips, changed: EER, median change of llr ==")
        parts += [f"  {name:30} {v['eer']:6.1%} {v.get('llr_moves_by', '')}" for name, v in found["robustness"].items()]
        parts.append("== cost ==\n" + "\n".join(f"  {key:32} {value}" for key, value in found["cost"].items()))
    return "\n".join(parts)


def into_card(folder: Path, found: dict) -> None:
    """Into card.json, and into the README beside it; figures measured earlier and not now stay."""
    path = folder / "card.json"
    card = json.loads(path.read_text())
    card["figures"].update(found)
    path.write_text(json.dumps(card, indent=2) + "\n")
    notes = folder / "README.md"
    if notes.exists() and BEGIN in notes.read_text():
        before, _, rest = notes.read_text().partition(BEGIN)
        after = rest.partition(END)[2]
        notes.write_text(f"{before}{BEGIN}\n```\n{show(card['figures'], card['name'])}\n```\n{END}{after}")
