"""Small steps between the panel's requests and a session; torch is imported late."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, cast

from napari_sam2.widgets.engine import (
    SIDES,
    Catalogue,
    FrameNews,
    ModelChoice,
    ModelInfo,
    ObjectNews,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_sam2.model import SAM2, Card, Precision
    from napari_sam2.stacks import Stack
    from napari_sam2.tracking import Session
    from napari_sam2.tracking.results import Seen
    from napari_sam2.widgets.engine import Request
    from napari_sam2.widgets.target import Target

WARM_UP_SIDE = 512


def default_loader(choice: ModelChoice, folder: Path | None = None) -> SAM2:
    """Load the chosen model, ready for inference."""
    from napari_sam2.model import load_model

    return load_model(
        choice.name,
        device=choice.device,
        dtype=cast("Precision", choice.precision),
        image_size=choice.image_size,
        recent_memories=choice.recent_memories,
        folder=folder,
    )


def open_target(target: Target) -> Stack:
    """Open the frames of a layer that a target means."""
    from napari_sam2.stacks import Stack, open_stack

    if target.colours:
        return Stack.from_channels(
            [target.data, *(colour.data for colour in target.colours)],
            axes=target.axes,
            contrast_limits=target.limits,
            fixed=target.fixed,
        )
    return open_stack(
        target.data,
        axes=target.axes,
        contrast_limits=target.contrast_limits,
        fixed=target.fixed,
    )


def look_at(target: Target, model: SAM2, frame_idx: int) -> Seen:
    """Return what goes into the network of a whole frame, without a session."""
    from napari_sam2.tracking import Session

    with open_target(target) as stack, Session(model, stack) as session:
        return session.seen(frame_idx)


def warm_up(model: SAM2) -> None:
    """Follow a click on nothing: a network's first answers take many times as long.

    Not for large networks, whose own work outweighs that.
    """
    import numpy as np

    from napari_sam2.tracking import Session

    side = model.config.image_size
    if side <= WARM_UP_SIDE:
        with Session(model, np.zeros((3, side, side), np.uint8), axes="TYX") as session:
            session.add_points(1, 0, [(side / 2, side / 2)], [1])
            for _ in session.propagate():
                pass


def leave_a_core() -> None:
    """Leave a core to the window: on few cores that is faster for both.

    See docs/performance.md. Holds for the calling thread and those begun later, which
    may call this as well: one core is left, not one each.
    """
    import torch

    torch.set_num_threads(max(1, _all_threads() - 1))


def lanes_beside_a_window(model: SAM2) -> int:
    """Return how many lanes suit a network, `leave_a_core` or not.

    Lanes do not wait for each other, so that a window takes no more from them than the
    time it draws: one on each core is a third faster than one less, on two cores.
    """
    from napari_sam2.tracking.lanes import choose_lanes

    return choose_lanes(model, _all_threads())


@cache
def _all_threads() -> int:
    import torch

    return torch.get_num_threads()


def supposed_rims(
    session: Session,
    object_id: int,
    frame_idx: int,
    point: tuple[float, float],
    label: int,
) -> list[NDArray[np.float64]]:
    """Return lines (N, 2) around the mask that a click would give; see `suppose`."""
    from napari_sam2.stacks.drawn import rims

    mask = session.suppose(object_id, frame_idx, point, label)
    return [] if mask is None else rims(mask)


def frames_key(request: Request) -> tuple[object, ...]:
    """Where masks belong: the frames, however bright they are shown."""
    target = request.target
    return id(target.data), target.followed, tuple(target.fixed.items())


def frame_news(
    session: Session, frame_idx: int, *, only: Collection[int] | None = None
) -> FrameNews:
    """Say what is known of a frame, or of some objects in it."""
    return FrameNews(
        frame_idx=frame_idx,
        objects={
            object_id: ObjectNews(
                confidence=row.confidence, area=row.area, flags=row.flags.value
            )
            for object_id, row in session.scores.frame(frame_idx).items()
            if only is None or object_id in only
        },
    )


def model_info(name: str, folder: Path | None = None) -> ModelInfo:
    """Say whether a known model is here, and how large it is."""
    from napari_sam2.model import preset
    from napari_sam2.model.registry import (
        MissingCheckpointError,
        checkpoint_path,
        find_checkpoint,
    )

    known = find_checkpoint(name)
    try:
        checkpoint_path(name, folder=folder)
    except MissingCheckpointError:
        here = known.packaged  # then loading says what is wrong with the installation
    else:
        here = True
    size = "" if known.n_bytes is None else f"{known.n_bytes / 2**20:.0f} MB"
    note = "built in" if known.packaged else size
    sizes = SIDES if preset(name).image_size == SIDES[0] else ()
    return ModelInfo(name=name, here=here, note=note, sizes=sizes)


def catalogue(folder: Path | None) -> Catalogue:
    """Find out which models and devices are here."""
    import torch

    from napari_sam2.model.registry import CHECKPOINTS

    devices = ["auto", "cpu"]
    if torch.cuda.is_available():
        devices += [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("mps")
    known = (model_info(name, folder) for name in CHECKPOINTS)
    return Catalogue(
        # SAM 2.0 is for reproducing old results: offered where its file is.
        models=(
            *(m for m in known if m.here or not m.name.startswith("sam2-")),
            *own_model_infos(),
        ),
        devices=tuple(devices),
    )


def own_model_infos() -> tuple[ModelInfo, ...]:
    """Describe the user's own models, with their cards."""
    from napari_sam2.model import own_models

    return tuple(own_model_info(name, path) for name, path in own_models().items())


def own_model_info(name: str, path: Path) -> ModelInfo:
    """Describe one of the user's own models."""
    from napari_sam2.model import CheckpointError, read_card

    try:
        card = read_card(path)
    except CheckpointError as error:
        tip = str(error)
    else:
        tip = "made elsewhere" if card is None else _describe(card)
    version = path.stat().st_mtime_ns
    return ModelInfo(name=name, here=True, note="own", tip=tip, version=version)


def _describe(card: Card) -> str:
    """Write a card in a few lines."""
    lines = [f"{card.parent or 'a model'}, adapted to {', '.join(card.data)}"]
    lines += [f"{card.made[:10]}: {card.learned} objects, {card.steps} steps"]
    lines += [f"Mean IoU of up to {card.aside} objects held aside:"]
    lines += [
        f"{task}: {before:.2f} → {after:.2f}"
        for task, (before, after) in card.scores.items()
    ]
    return "\n".join(lines)
