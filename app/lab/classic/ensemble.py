"""Three classifiers over one feature vector, and the mean of their log-odds. scikit-learn; fitted by `train`, turned into a graph by `export`."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from app.lab.classic.features import NAMES

LEAST = 1e-3
"""A forest's probability is kept this far from 0 and 1 before its logarithm is taken."""


@dataclass(frozen=True)
class Sizes:
    """What keeps the file under 6 MB. `svm_windows`: the machine stores most windows it learnt from, so it learns from the first ones only."""

    trees: int = 100
    tree_leaves: int = 128
    tree_leaf_windows: int = 5
    stages: int = 300
    stage_depth: int = 5
    stage_rate: float = 0.06
    svm_windows: int = 8000
    svm_axes: int = 80
    svm_c: float = 1.0
    svm_gamma: float = 0.005


@dataclass
class Ensemble:
    """`maps` holds (scale, bias) of each member, which make its output a log-odds; they are fitted on `dev`."""

    forest: RandomForestClassifier
    boosting: GradientBoostingClassifier
    svm: Pipeline
    maps: dict[str, tuple[float, float]] = field(default_factory=lambda: dict.fromkeys(MEMBERS, (1.0, 0.0)))

    def outputs(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Member -> [N], high = spoof, each in its own unit."""
        share = np.clip(self.forest.predict_proba(features)[:, 1], LEAST, 1 - LEAST)
        return {
            "forest": np.log(share / (1 - share)),
            "boosting": self.boosting.decision_function(features),
            "svm": self.svm.decision_function(features),
        }

    def score(self, features: np.ndarray) -> np.ndarray:
        """[N], the mean of the members' log-odds."""
        return self.mean(self.outputs(features))

    def mean(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        return sum(self.maps[name][0] * outputs[name] + self.maps[name][1] for name in MEMBERS) / len(MEMBERS)

    def predict_proba(self, features: np.ndarray) -> np.ndarray:
        """[N, 2], as scikit-learn has it: bona fide, spoof."""
        spoof = 1 / (1 + np.exp(-self.score(features)))
        return np.stack([1 - spoof, spoof], 1)


MEMBERS = ("forest", "boosting", "svm")


def fit_ensemble(features: np.ndarray, spoof: np.ndarray, seed: int, sizes: Sizes = Sizes(), say: Callable[[str], None] = lambda _: None) -> Ensemble:
    """All three, one after the other, on one core."""
    spoof = spoof.astype(int)
    forest = RandomForestClassifier(sizes.trees, max_leaf_nodes=sizes.tree_leaves, min_samples_leaf=sizes.tree_leaf_windows, random_state=seed)
    # Each stage sees half of the windows and a few features: quicker, and it fits the recording chains less.
    boosting = GradientBoostingClassifier(
        n_estimators=sizes.stages, max_depth=sizes.stage_depth, learning_rate=sizes.stage_rate,
        subsample=0.5, max_features="sqrt", min_samples_leaf=sizes.tree_leaf_windows, random_state=seed,
    )  # fmt: skip
    axes = min(sizes.svm_axes, len(features) // 2)
    # The mean of a cepstral coefficient is mostly the recording chain; an SVM, which uses every column at once, is better without.
    columns = [i for i, name in enumerate(NAMES) if not (name.endswith("_mean") and name.startswith(("mfcc", "lfcc")))]
    svm = make_pipeline(make_column_transformer((StandardScaler(), columns)), PCA(axes, random_state=seed), SVC(C=sizes.svm_c, gamma=sizes.svm_gamma))
    some = slice(sizes.svm_windows)
    svm.fit(features[some], spoof[some])
    say(f"SVM fitted, {len(svm[-1].support_)} support vectors")
    boosting.fit(features, spoof)
    say("boosting fitted")
    forest.fit(features, spoof)
    say("forest fitted")
    return Ensemble(forest, boosting, svm)
