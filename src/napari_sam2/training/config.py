"""The configuration of a training run, read from TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run. Every field can stand in the TOML file.

    Attributes
    ----------
    output
        Folder for checkpoints, log and curve.
    preset
        Network to train.
    image_size
        Side of the training pictures, px.
    data_dir
        Folder with the real sets; empty: synthetic microscopy alone.
    init
        Checkpoint to start from; empty: random weights.
    steps
        Steps in all; the learning rate falls to its end over them.
    batch, objects
        Pictures a step and most objects a picture.
    clip_batch, clip_frames, clip_objects
        The same for steps on clips.
    clips_from, clip_share
        First step that may be on clips, and the share of those that are.
    clip_frozen
        How many of the image trunk's first blocks steps on clips leave as they are
        (they are the dearest to train); steps on pictures train all.
    real_share
        Share of pictures and clips from the real sets.
    lr, warmup, weight_decay, clip_norm
        AdamW: peak rate, linear warm-up in steps, decay, gradient norm.
    layer_decay
        Factor on the rate from each block of the image trunk to the one before it; 1
        treats all alike, 0.9 suits a start from an earlier model.
    balanced_until
        Step at which the balanced loss of the start has faded out.
    corrections
        Most corrective clicks after the first prompt.
    ema
        Decay of the averaged weights that are saved.
    seed
        Source of all randomness.
    device
        ``auto``, ``cpu``, ``cuda``.
    bf16
        Whether to compute in bfloat16 where that is safe and the device has it.
    workers, threads
        Drawing processes, and torch threads (0: torch's own choice).
    save_every, log_every
        Steps between checkpoints and between log lines.
    """

    output: str
    preset: str = "nano"
    image_size: int = 256
    data_dir: str = ""
    init: str = ""
    steps: int = 5000
    batch: int = 8
    objects: int = 10
    clip_batch: int = 2
    clip_frames: int = 6
    clip_objects: int = 4
    clips_from: int = 1500
    clip_share: float = 0.4
    clip_frozen: int = 0
    real_share: float = 0.6
    lr: float = 5e-4
    warmup: int = 200
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    layer_decay: float = 1.0
    balanced_until: int = 1500
    corrections: int = 2
    ema: float = 0.998
    seed: int = 0
    device: str = "auto"
    bf16: bool = True
    workers: int = 1
    threads: int = 0
    save_every: int = 200
    log_every: int = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        positive = ("steps", "batch", "objects", "clip_batch", "clip_objects")
        for name in (*positive, "save_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, not {getattr(self, name)}"
                )
        for name in ("clip_share", "real_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share, from 0 to 1")
        if not 0 < self.layer_decay <= 1:
            raise ValueError("layer_decay is a factor, above 0 and at most 1")
        if self.clip_frames < 2:
            raise ValueError("clip_frames must be at least 2: a clip has a past")


def read_config(path: str | Path) -> TrainConfig:
    """Read a run's configuration from a TOML file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no TOML, has an unknown field, or a value out of range.
    """
    path = Path(path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name} is not valid TOML: {error}.") from error
    known = {item.name for item in fields(TrainConfig)}
    unknown = sorted(table.keys() - known)
    if unknown:
        raise ValueError(
            f"{path.name} has unknown fields: {', '.join(unknown)}; "
            f"known are {', '.join(sorted(known))}."
        )
    if "output" not in table:
        raise ValueError(f"{path.name} must name the output folder: output = 'run1'.")
    for item in fields(TrainConfig):
        _check_type(path.name, item.name, table.get(item.name), str(item.type))
    return TrainConfig(**table)


def _check_type(file: str, name: str, value: object, wanted: str) -> None:
    """Refuse a value of another type; whole numbers may stand for floats."""
    kinds: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
    }
    if value is None or type(value) in kinds[wanted]:
        return
    raise ValueError(f"{file}: {name} must be a {wanted}, not {value!r}.")
