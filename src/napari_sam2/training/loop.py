"""The training loop: resumable to the step, averaged weights, a log, a curve."""

from __future__ import annotations

import json
import logging
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from napari_sam2.model import (
    build_model,
    choose_device,
    load_weights,
    preset,
    read_state_dict,
    save_checkpoint,
)
from napari_sam2.training.batches import Batches, is_clip_step
from napari_sam2.training.config import TrainConfig, read_config
from napari_sam2.training.curve import draw_curve, read_log
from napari_sam2.training.datasets import RealPictures
from napari_sam2.training.descent import (
    Descent,
    arithmetic,
    step_generator,
    warmed_cosine,
)
from napari_sam2.training.losses import LossWeights
from napari_sam2.training.several import join, shared
from napari_sam2.training.steps import Losses

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from torch import Tensor

    from napari_sam2.model import SAM2
    from napari_sam2.training.batches import Batch

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one step did.

    Attributes
    ----------
    step
        Its number, from 0.
    kind
        ``"picture"`` or ``"clip"``.
    loss
        Its loss.
    seconds
        How long it took.
    """

    step: int
    kind: str
    loss: float
    seconds: float


def train(config: TrainConfig | str | Path) -> Generator[StepReport, None, None]:
    """Train a model, or go on where the run in the output folder stopped.

    Parameters
    ----------
    config
        The configuration, or a TOML file holding it.

    Yields
    ------
    StepReport
        After every step. Closing the generator saves the run.

    Raises
    ------
    ValueError
        If the configuration is wrong, or the output folder holds another run.
    FileNotFoundError
        If the configuration, data or initial checkpoint is missing.

    Notes
    -----
    The folder then holds ``state.pt`` (to resume), ``model.safetensors`` (averaged
    weights, float32), ``log.jsonl`` and ``curve.png``.
    """
    run = Run(read_config(config) if isinstance(config, (str, Path)) else config)
    try:
        yield from run.steps()
    finally:
        run.save()


class Run:
    """One training run and everything needed to go on with it.

    Parameters
    ----------
    config
        The configuration.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.processes, self.device = join(choose_device(config.device))
        if config.clip_frozen and self.processes.count > 1:
            raise ValueError("clip_frozen must be 0 on several GPUs: free every block.")
        self.folder = Path(config.output)
        self.folder.mkdir(parents=True, exist_ok=True)
        if config.threads:
            torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        architecture = preset(config.preset, image_size=config.image_size)
        self.model = build_model(architecture).to(self.device)
        _initialise(self.model)
        if config.init:
            state, _ = read_state_dict(config.init)
            load_weights(self.model, state, source=config.init)
        losses = Losses(self.model, config.corrections)
        self.losses = shared(losses, self.processes, self.device)
        self.descent = Descent(
            self.model,
            weight_decay=config.weight_decay,
            clip_norm=config.clip_norm,
            ema=config.ema,
            layer_decay=config.layer_decay,
        )
        self.step = 0
        self._in_update = False
        self._resume()

    def steps(self) -> Iterator[StepReport]:
        """Yield after each step until the configured number is reached."""
        config = self.config
        loader = self._loader()
        self.model.train()
        path = self.folder / "log.jsonl" if self.processes.first else Path(os.devnull)
        if self.processes.first:
            _forget_after(path, self.step)
        with path.open("a", encoding="utf-8") as journal:
            for batch in loader:
                report = self._step(batch.to(self.device))
                if report.step % config.log_every == 0:
                    journal.write(json.dumps(asdict(report)) + "\n")
                    journal.flush()
                if self.step % config.save_every == 0:
                    self.save()
                yield report

    def _loader(self) -> DataLoader[Batch]:
        config = self.config
        real = RealPictures(config.data_dir, "train") if config.data_dir else None
        return DataLoader(
            Batches(config, real, rank=self.processes.rank),
            batch_size=None,
            sampler=range(self.step, config.steps),
            num_workers=config.workers,
            prefetch_factor=4 if config.workers else None,
            worker_init_fn=_one_thread,
        )

    def _step(self, batch: Batch) -> StepReport:
        config, began = self.config, time.perf_counter()
        generator = step_generator(config.seed, self.step, rank=self.processes.rank)
        is_clip = is_clip_step(config, self.step)
        _freeze(self.model, config.clip_frozen if is_clip else 0)
        weights = LossWeights(
            balanced=max(0.0, 1 - self.step / max(config.balanced_until, 1))
        )
        with arithmetic(self.device, bf16=config.bf16):
            loss = self.losses(batch, weights, generator, clips=is_clip)
        self._update(loss, learning_rate(config, self.step))
        return StepReport(
            step=self.step - 1,
            kind="clip" if is_clip else "picture",
            loss=float(loss.detach()),
            seconds=time.perf_counter() - began,
        )

    def _update(self, loss: Tensor, rate: float) -> None:
        """Follow the gradient; interrupted half-way, the run is not saved."""
        self.descent.backward(loss)
        self._in_update = True
        if not self.descent.step(rate):
            log.warning("step %d: gradient is not finite, skipped", self.step)
        self.descent.follow_average(self.step)
        self.step += 1
        self._in_update = False

    def save(self) -> None:
        """Write the state and the averaged weights, beside and then renamed.

        Nothing is written when an error or a signal came in the middle of an update:
        what was saved before is whole, and going on from it gives the same run. Of
        several processes the first one writes.
        """
        if not self.processes.first:
            return
        if self._in_update:
            log.warning("stopped within step %d: it is not saved", self.step)
            return
        state = {
            "step": self.step,
            "config": asdict(self.config),
            "model": self.model.state_dict(),
            "average": self.descent.average,
            "optimiser": self.descent.optimiser.state_dict(),
        }
        part = self.folder / "state.pt.part"
        torch.save(state, part)
        part.replace(self.folder / "state.pt")
        self.export(self.folder / "model.safetensors")
        journal = self.folder / "log.jsonl"
        if journal.is_file():
            draw_curve(self.folder / "curve.png", read_log(journal))

    def export(self, path: Path, dtype: torch.dtype | None = None) -> None:
        """Write the averaged weights as a checkpoint for `load_model`."""
        averaged = build_model(self.model.config)
        averaged.load_state_dict(self.descent.average)
        metadata = {"trained_steps": str(self.step)}
        save_checkpoint(averaged, path, metadata=metadata, dtype=dtype)

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if not path.is_file():
            return
        state: dict[str, Any] = torch.load(
            path, map_location=self.device, weights_only=True
        )
        if state["config"]["preset"] != self.config.preset:
            raise ValueError(
                f"{self.folder} holds a run of {state['config']['preset']}; "
                "choose another output folder."
            )
        self.model.load_state_dict(state["model"])
        self.descent.average = state["average"]
        self.descent.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        log.info("resumed at step %d", self.step)


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the rate at `step`: linear warm-up, then cosine down to a fiftieth."""
    return config.lr * warmed_cosine(step, config.steps, config.warmup)


def _freeze(model: SAM2, blocks: int) -> None:
    """Keep the first blocks of the image trunk out of the gradient; 0 frees all."""
    trunk = model.image_encoder.trunk
    start = (trunk.pos_embed, trunk.pos_embed_window, *trunk.patch_embed.parameters())
    for parameter in start:
        parameter.requires_grad_(not blocks)
    for i, block in enumerate(trunk.blocks):
        block.requires_grad_(i >= blocks)


@torch.no_grad()
def _initialise(model: SAM2) -> None:
    """Start from weights that learn from scratch in a few thousand steps."""
    for name, parameter in model.named_parameters():
        if name.endswith("gamma"):
            parameter.fill_(0.1)
        elif "image_encoder.trunk" in name and parameter.ndim == 2:
            torch.nn.init.trunc_normal_(parameter, std=0.02)
    for name in ("pos_embed", "pos_embed_window"):
        torch.nn.init.trunc_normal_(getattr(model.image_encoder.trunk, name), std=0.02)


def _forget_after(journal: Path, step: int) -> None:
    """Drop what the log says of steps that are done again."""
    if not journal.is_file():
        return
    lines = journal.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _logged_step(line) < step]
    if len(kept) < len(lines):
        journal.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _logged_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):  # cut off when the machine stopped
        return math.inf


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
