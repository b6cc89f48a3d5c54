"""What the panel that adapts models says: what happened, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2.training.low_rank import Part
    from napari_sam2.widgets.adapting import Count, Result, TaskResult

NO_PAIR = (
    "<b>Choose an image and labels of it</b> that you have corrected. Frames without "
    "any label are left out."
)
READY = (
    "<b>Press Learn.</b> The model learns from these objects; those held aside show "
    "whether it got better."
)
NO_NAME = "Give the new model a name."
STARTING = "Loading the model …"
LEARNING = "Look around meanwhile. <b>Cancel</b> keeps nothing and changes nothing."
STOPPING = "Stopping after this step …"
STOPPED = "<b>Stopped.</b> Nothing was kept or changed."
DISCARDED = "The adapted model is gone. Correct more objects, or change the settings."
TIME_UNKNOWN = "its first steps show how long"
FEW = 10
SMALL = 0.005  # IoU; less is not worth a word

WAYS: dict[Part, tuple[str, str]] = {
    "decoder": (
        "Lightly: how outlines are drawn",
        "Only the mask decoder learns: quickest, for few objects",
    ),
    "memory": (
        "And how cells are followed",
        "Everything behind the image encoder learns: outlines and following",
    ),
    "lora": (
        "Thoroughly (best for most)",
        "That, and small changes to how the picture is seen (low-rank, LoRA)",
    ),
    "all": (
        "Everything, for many objects",
        "Every weight learns: for hundreds of objects; it may forget other cells",
    ),
}
PHASES = {
    "looking": "looking through labels",
    "before": "measuring before",
    "learning": "learning",
    "after": "measuring after",
}
TASKS = {"1 click": "one click", "box": "a box", "first mask": "following"}


def layer_gone(name: str) -> str:
    """Say why it stopped."""
    return f"<b>Stopped</b>, because {name!r} was removed. Nothing was kept or changed."


def counting(count: Count) -> str:
    """Say how far labels were looked through."""
    return f"Looking for objects: frame {count.done} of {count.total} …"


def counted(count: Count) -> str:
    """Say what there is to learn from."""
    return (
        f"Objects found: <b>{count.learned + count.aside}</b>, of which "
        f"{count.learned} to learn from and {count.aside} held aside."
    )


def about(seconds: float) -> str:
    """Say how long something takes, roughly."""
    if seconds < 50:
        return f"about {max(5 * round(seconds / 5), 5)} s"
    return f"about {max(round(seconds / 60), 1)} min"


def progress(phase: str, done: int, total: int, left: float | None) -> str:
    """Say what is being done, how far it is, how long still."""
    words = f"{PHASES[phase]}   {done} / {total}"
    return words if left is None else f"{words}   {about(left)} left"


def task(name: str) -> str:
    """Call a task by a friendly name."""
    return TASKS.get(name, name)


def brought(result: Result) -> str:
    """Say whether it got better, on what, and what to do."""
    first = result.tasks[0]
    aside = first.objects
    unseen = "1 object" if aside == 1 else f"{aside} objects"
    numbers = f"{_change(first)} on {unseen} it did not learn from"
    chance = " (few: part of it may be chance)" if aside < FEW else ""
    if result.gain < SMALL:
        return (
            f"<b>It did not get better:</b> {numbers}{chance}. Keep it only if it "
            "serves you better all the same; more objects or steps may help."
        )
    worse = [row for row in result.tasks if row.after < row.before - SMALL]
    but = f" But {' and '.join(_change(row) for row in worse)}." if worse else ""
    return f"<b>It got better:</b> {numbers}{chance}.{but} Keep it?"


def _change(row: TaskResult) -> str:
    return f"{task(row.task)} {row.before:.2f} → {row.after:.2f}"


def ask_to_replace(name: str) -> str:
    """Ask before a model is lost."""
    return (
        f"There is a model <b>{name}</b> of yours already: press <b>Replace</b>, or "
        "give this one another name."
    )


def kept(name: str) -> str:
    """Say that it was kept, and what for."""
    return (
        f"<b>Kept as {name}.</b> It is in the list of models now. Use it at once, "
        "correct what it gets wrong, and learn again."
    )


def used(name: str) -> str:
    """Say where it is used."""
    return f"<b>{name}</b> is chosen in the panel for segmenting and tracking."
