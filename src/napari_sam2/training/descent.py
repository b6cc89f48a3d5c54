"""Following a gradient: groups, schedule, precision, averaged weights.

Shared by training from scratch and by adapting a model to a user's own cells.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from napari_sam2.model import fastest_dtype

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from napari_sam2.model import SAM2

RATE_FLOOR = 0.02


class Descent:
    """AdamW on the parameters that are free, and the average of all weights.

    Parameters
    ----------
    model
        Parameters that need no gradient when this is made are left out for good.
    weight_decay
        Of matrices and kernels; vectors have none.
    clip_norm
        Largest norm of the gradient.
    ema
        Decay of the averaged weights; smaller in the first steps.
    layer_decay
        Factor on the rate from each block of the image trunk to the one before it;
        1 treats all alike. Fine-tuning leaves early layers nearly as they are (BEiT,
        Bao et al. 2022, as SAM 2 is trained, appendix D.2).

    Attributes
    ----------
    average
        Averaged weights by state-dict key.
    optimiser
        The AdamW that steps.
    """

    def __init__(
        self,
        model: SAM2,
        *,
        weight_decay: float,
        clip_norm: float,
        ema: float,
        layer_decay: float = 1.0,
    ) -> None:
        self._model = model
        self._clip_norm = clip_norm
        self._ema = ema
        self.optimiser = torch.optim.AdamW(
            parameter_groups(model, weight_decay, layer_decay), betas=(0.9, 0.98)
        )
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}

    def backward(self, loss: Tensor) -> None:
        """Compute the gradient of a loss."""
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)

    def step(self, rate: float) -> bool:
        """Follow the gradient, clipped; return False if it was not finite."""
        free = [p for group in self.optimiser.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(free, self._clip_norm)
        finite = bool(torch.isfinite(norm))
        if finite:
            for group in self.optimiser.param_groups:
                group["lr"] = rate * group.get("scale", 1.0)
            self.optimiser.step()
        return finite

    @torch.no_grad()
    def follow_average(self, step: int) -> None:
        """Let the averaged weights follow after the step of that number, from 0."""
        decay = min(self._ema, (1 + step) / (10 + step))
        state = self._model.state_dict()
        torch._foreach_lerp_(
            list(self.average.values()), [state[k] for k in self.average], 1 - decay
        )


def parameter_groups(
    model: SAM2, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Group the free parameters: decay on matrices only, slower early layers.

    Parameters
    ----------
    model
        The network.
    weight_decay, layer_decay
        As `Descent` takes them.

    Returns
    -------
    list of dict
        For `torch.optim.AdamW`; ``scale`` is the factor on the learning rate.
    """
    depth = len(model.image_encoder.trunk.blocks)
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        layer = depth if layer_decay == 1 else _layer(name, depth)
        matrix = parameter.ndim >= 2
        group = groups.setdefault(
            (layer, matrix),
            {
                "params": [],
                "weight_decay": weight_decay if matrix else 0.0,
                "scale": layer_decay ** (depth - layer),
            },
        )
        group["params"].append(parameter)
    if not groups:
        message = "Every weight is frozen: leave something to train."
        raise ValueError(message)
    return list(groups.values())


def _layer(name: str, depth: int) -> int:
    """Return how deep in the image trunk a parameter is; behind it, `depth`."""
    trunk = "image_encoder.trunk."
    if not name.startswith(trunk):
        return depth
    inner = name.removeprefix(trunk)
    return int(inner.split(".")[1]) if inner.startswith("blocks.") else 0


def warmed_cosine(step: int, steps: int, warmup: int) -> float:
    """Return the share of the peak rate at a step.

    Parameters
    ----------
    step
        From 0.
    steps
        In all.
    warmup
        Steps of linear warm-up; after them a cosine falls to a fiftieth.
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return RATE_FLOOR + (1 - RATE_FLOOR) * 0.5 * (1 + math.cos(math.pi * done))


def step_generator(seed: int, step: int, *, rank: int = 0) -> torch.Generator:
    """Return the randomness of one step's simulated user, on the CPU.

    Parameters
    ----------
    seed, step
        Of the run.
    rank
        Which of several processes draws.
    """
    return torch.Generator().manual_seed(seed * 1_000_003 + step + 7_919 * rank)


@contextlib.contextmanager
def arithmetic(device: torch.device, *, bf16: bool) -> Iterator[None]:
    """Compute in bfloat16 if wanted, safe and native; write attention out on CPUs.

    A processor without instructions for bfloat16 emulates it: a step then takes eight
    to ten times as long as in float32, which is used there instead. Torch's fused
    attention has a slow backward pass on CPUs: without it, a step takes about three
    quarters of the time.
    """
    attention: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
    if device.type == "cpu":
        torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # CPUs too
        attention = sdpa_kernel(SDPBackend.MATH)
    half = bf16 and fastest_dtype(device) == torch.bfloat16
    with torch.autocast(device.type, torch.bfloat16, enabled=half), attention:
        yield
