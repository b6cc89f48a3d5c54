"""What the panel did, as the lines one would type in the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_sam2.widgets.engine import Direction, Edit, ModelChoice, Repeat, Request
    from napari_sam2.widgets.frame_prompts import FramePrompts, PromptKey
    from napari_sam2.widgets.kept_sessions import SessionScript
    from napari_sam2.widgets.target import Colour, Target


def model_line(choice: ModelChoice) -> str:
    """Return the line that loads the model."""
    device = "" if choice.device == "auto" else f", device={choice.device!r}"
    how = "" if choice.precision == "full" else f", dtype={choice.precision!r}"
    size = "" if choice.image_size is None else f", image_size={choice.image_size}"
    recent = choice.recent_memories
    fewer = "" if recent is None else f", recent_memories={recent}"
    return f"model = load_model({choice.name!r}{device}{how}{size}{fewer})"


def session_lines(request: Request) -> list[str]:
    """Return the lines that open the stack and the session, in napari's console."""
    target = request.target
    options = [f"axes={target.axes!r}"]
    limits = [f"({pair[0]!r}, {pair[1]!r})" for pair in target.limits if pair]
    if limits:
        given = limits[0] if len(limits) == 1 else f"[{', '.join(limits)}]"
        options.append(f"contrast_limits={given}")
    if target.fixed:
        options.append(f"fixed={dict(target.fixed)!r}")
    pixels = [_pixels(target), *map(_pixels, target.colours)]
    opened, given = "open_stack", pixels[0]
    if target.colours:
        opened, given = "Stack.from_channels", f"[{', '.join(pixels)}]"
    names = ["Session", "load_model", opened.partition(".")[0]]
    return [
        f"from napari_sam2 import {', '.join(sorted(names))}",
        model_line(request.model),
        f"stack = {opened}({given}, {', '.join(options)})",
        "session = Session(model, stack)",
    ]


def _pixels(layer: Target | Colour) -> str:
    """Return the pixels of a layer as they are written in napari's console."""
    level = "" if layer.level is None else f"[{layer.level}]"
    return f"viewer.layers[{layer.name!r}].data{level}"


def prompt_lines(key: PromptKey, prompts: FramePrompts) -> list[str]:
    """Return the lines that give an object its prompts in one frame."""
    object_id, frame = key
    lines = []
    if len(prompts.outlines) == 1:
        (one,) = prompts.outlines
        corners = _corners(one.vertices)
        lines.append(f"session.add_{one.kind}({object_id}, {frame}, [{corners}])")
    elif prompts.outlines:
        drawn = ", ".join(
            f'("{o.kind}", [{_corners(o.vertices)}], {o.label})'
            for o in prompts.outlines
        )
        lines.append(f"session.add_outlines({object_id}, {frame}, [{drawn}])")
    if prompts.box is not None:
        box = ", ".join(f"{value:.1f}" for value in prompts.box)
        lines.append(f"session.add_box({object_id}, {frame}, ({box}))")
    lines += [
        f"session.add_scribble({object_id}, {frame}, [{_pairs(scribble.path)}], "
        f"{scribble.label})"
        for scribble in prompts.scribbles
    ]
    if prompts.points:
        labels = ", ".join(str(label) for label in prompts.labels)
        points = _pairs(prompts.points)
        lines.append(
            f"session.add_points({object_id}, {frame}, [{points}], [{labels}])"
        )
    return lines


def new_prompt_line(
    key: PromptKey, prompts: FramePrompts, before: FramePrompts
) -> str | None:
    """Return the line of what was added or changed last; None if nothing was."""
    known = prompt_lines(key, before)
    new = [line for line in prompt_lines(key, prompts) if line not in known]
    return new[-1] if new else None


def _pairs(points: Iterable[tuple[float, float]]) -> str:
    return ", ".join(f"({y:.1f}, {x:.1f})" for y, x in points)


def _corners(points: Iterable[tuple[float, float]]) -> str:
    """Write as much as decides which pixels an outline holds."""
    return ", ".join(f"({y:g}, {x:g})" for y, x in points)


def tool_line(tool: str, object_id: int, frame_idx: int, *, positive: bool) -> str:
    """Return the line that the next use of a tool will be."""
    call, use = {
        "click": ("add_points", "click"),
        "box": ("add_box", "drag"),
        "scribble": ("add_scribble", "drag"),
        "outline": ("add_polygon", "drag"),
        "paint": ("add_mask", "stroke"),
    }[tool]
    what = "…" if positive or tool in ("box", "paint") else "…, 0"
    if tool == "outline" and not positive:
        call, what = "add_outlines", "[…, (…, 0)]"
    return f"session.{call}({object_id}, {frame_idx}, {what})  # the next {use}"


def suppose_line(object_id: int, frame_idx: int) -> str:
    """Return the line that says what a click would give."""
    return f"session.suppose({object_id}, {frame_idx}, (…, …))  # under the mouse"


def seen_line(object_id: int, frame_idx: int) -> str:
    """Return the line that shows what the model sees."""
    return f"viewer.add_image(session.seen({frame_idx}, {object_id}).picture, rgb=True)"


def painted_line(object_id: int, frame_idx: int, layer: str, at: object) -> str:
    """Return the line that takes what was painted in a Labels layer, at an index."""
    plane = f"viewer.layers[{layer!r}].data[{at}]"
    return f"session.add_mask({object_id}, {frame_idx}, {plane} == {object_id})"


def taken_line(frame_idx: int, layer: str) -> str:
    """Return the line that takes all objects of a plane of another Labels layer."""
    return (
        f"for mask in masks_from_labels({frame_idx}, viewer.layers[{layer!r}].data"
        f"[{frame_idx}]): session.add_prompt(mask)"
    )


def download_line(name: str) -> str:
    """Return the line that fetches a model."""
    return f"from napari_sam2.model.registry import download; download({name!r})"


def edit_line(edit: Edit) -> str:
    """Return the line that does what an edit does."""
    object_id, frames = edit.object_id, list(edit.frames)
    first = frames[0] if frames else 0
    if edit.verb in ("lock", "unlock"):
        whole = range(first, first + len(frames))
        where: object = whole if frames == list(whole) else frames
        if len(frames) == 1:
            where = first
        return f"session.{edit.verb}({object_id}, {where})"
    return {
        "absent": f"session.add_mask({object_id}, {first}, "
        "0 * session.labels[0] > 0)  # it is not there",
        "merge": f"session.merge({object_id}, {edit.other}, {first})",
        "remove": f"session.remove_object({object_id})",
        "rename": f"session.rename({object_id}, {edit.name!r})",
        "split": f"session.split({object_id}, {first})",
        "swap": f"session.swap({object_id}, {edit.other}, {first})",
    }[edit.verb]


def go_line(axis: int | None, frame_idx: int) -> str:
    """Return the line that goes to a frame."""
    return f"viewer.dims.set_current_step({axis or 0}, {frame_idx})"


def propagate_line(
    direction: Direction,
    frames: range | None,
    repeat: Repeat | None = None,
    *,
    everything: bool = False,
) -> str:
    """Return the line that follows the objects through the stack, then elsewhere."""
    how = _run_arguments(direction, frames, everything=everything)
    run = f"session.propagate({how})"
    if repeat is None:
        return f"for result in {run}: print(result.frame_idx)"
    how = _run_arguments(repeat.direction, repeat.frames, everything=everything)
    made = f"(repetition := Repetition(session, {repeat.over!r}))"
    return f"for run in {run}, {made}.run({how}): print(sum(1 for _ in run))"


def repeat_lines(repeat: Repeat) -> list[str]:
    """Return the lines that repeat what was followed over another axis."""
    how = _run_arguments(repeat.direction, repeat.frames)
    return [
        "from napari_sam2 import Repetition",
        f"repetition = Repetition(session, {repeat.over!r})",
        f"for plane in repetition.run({how}):",
        "    print(plane.place)",
    ]


def _run_arguments(
    direction: Direction, frames: range | None, *, everything: bool = False
) -> str:
    span = "" if frames is None else f", frames={frames!r}"
    return f"{direction!r}{span}{', everything=True' if everything else ''}"


def script(request: Request, written: SessionScript) -> str:
    """Return a script for napari's console that repeats the work of the panel.

    Parameters
    ----------
    request : Request
        The image and the model.
    written : SessionScript
        What was done.
    """
    *before, _ = session_lines(request)
    lines = [
        *written.imports,
        *before,
        f"session = Session(model, stack{written.settings})",
    ]
    if written.arrays is not None:
        lines.append(f"saved = np.load({str(written.arrays)!r})")
    lines += written.lines
    for repeat in written.repeats:
        lines += [*repeat_lines(repeat), "viewer.add_labels(repetition.labels)"]
    if not written.repeats:
        lines.append("viewer.add_labels(session.labels)")
    return "\n".join(lines) + "\n"
