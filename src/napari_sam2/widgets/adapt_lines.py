"""What the panel that adapts models did, as the lines one would type in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam2.widgets.console_lines import session_lines
from napari_sam2.widgets.engine import Request

if TYPE_CHECKING:
    from napari_sam2.widgets.adapting import Lesson
    from napari_sam2.widgets.target import Target


def finetune_line(lesson: Lesson) -> str:
    """Return the line that adapts the model."""
    settings = f"part={lesson.part!r}, steps={lesson.steps}"
    return f"work = finetune(model, [item], FinetuneConfig({settings}))"


def script(lesson: Lesson, labels_name: str, name: str) -> str:
    """Return a script for napari's console that does what the panel does.

    Parameters
    ----------
    lesson
        What is learned from, and how.
    labels_name
        Of the Labels layer.
    name
        What to keep the model as.
    """
    target = lesson.pair.target
    opening = session_lines(Request(model=lesson.model, target=target))
    labels = f"viewer.layers[{labels_name!r}].data{_planes(target)}"
    lines = [
        "from napari_sam2 import load_model, open_stack",
        "from napari_sam2.training.finetuning import FinetuneConfig, finetune, keep",
        "from napari_sam2.training.own_data import Annotated",
        "",
        *opening[1:3],
        f"item = Annotated(name={target.name!r}, stack=stack, labels={labels})",
        f"config = FinetuneConfig(part={lesson.part!r}, steps={lesson.steps})",
        "work = finetune(model, [item], config)",
        "while True:",
        "    try:",
        "        print(next(work))",
        "    except StopIteration as end:",
        "        outcome = end.value",
        "        break",
        "print(outcome.before, outcome.after)",
        f"keep(outcome, {name!r}, config, parent=model.origin, data=[item.name])",
    ]
    return "\n".join(lines) + "\n"


def _planes(target: Target) -> str:
    """Write the index that leaves (T, Y, X) of the data."""
    if target.followed is None:
        return f"[{', '.join(['None', *map(str, target.held[:-2])])}]"
    places = [
        ":" if axis == target.followed else str(at)
        for axis, at in enumerate(target.held[:-2])
    ]
    return "" if places == [":"] else f"[{', '.join(places)}]"
