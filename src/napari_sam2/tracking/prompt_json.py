"""Prompts as JSON, for session files; masks are packed bits, compressed."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

from napari_sam2.tracking.drawn_prompts import Outline, OutlinePrompt, ScribblePrompt
from napari_sam2.tracking.prompts import BoxPrompt, MaskPrompt, PointPrompt

if TYPE_CHECKING:
    from napari_sam2.tracking.drawn_prompts import OutlineKind
    from napari_sam2.tracking.prompts import Prompt


def prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    """Return a prompt as what `json.dumps` takes."""
    where = {"object": prompt.object_id, "frame": prompt.frame_idx}
    if isinstance(prompt, PointPrompt):
        points = [list(point) for point in prompt.points]
        said = {**where, "points": points, "labels": list(prompt.labels)}
        if isinstance(prompt, ScribblePrompt):
            said["path"] = [list(vertex) for vertex in prompt.path]
        return said
    if isinstance(prompt, BoxPrompt):
        return {**where, "box": list(prompt.box)}
    bits = base64.b85encode(zlib.compress(prompt.bits)).decode("ascii")
    said = {
        **where,
        "mask": bits,
        "shape": list(prompt.shape),
        "corner": list(prompt.corner),
        "size": list(prompt.size),
    }
    if isinstance(prompt, OutlinePrompt):
        lines = [
            (o.kind, [list(yx) for yx in o.vertices], o.label) for o in prompt.outlines
        ]
        first = lines[0]
        if len(lines) > 1:
            said["outlines"] = [list(line) for line in lines]
        else:
            said[first[0]] = first[1]
    return said


def prompt_from_json(item: dict[str, Any]) -> Prompt:
    """Return the prompt that `prompt_to_json` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError, zlib.error
        If it is none.
    """
    object_id, frame_idx = int(item["object"]), int(item["frame"])
    if "points" in item:
        clicks = PointPrompt(
            object_id=object_id,
            frame_idx=frame_idx,
            points=_pairs(item["points"]),
            labels=tuple(int(label) for label in item["labels"]),
        )
        if "path" in item:
            return ScribblePrompt(**vars(clicks), path=_pairs(item["path"]))
        return clicks
    if "box" in item:
        y, x, y2, x2 = (float(edge) for edge in item["box"])
        return BoxPrompt(object_id=object_id, frame_idx=frame_idx, box=(y, x, y2, x2))
    (height, width), (y0, x0), (h, w) = (
        (int(a), int(b)) for a, b in (item["shape"], item["corner"], item["size"])
    )
    bits = zlib.decompress(base64.b85decode(item["mask"]))
    if len(bits) != (h * w + 7) // 8:
        msg = f"a mask of {h} x {w} pixels has {len(bits)} bytes"
        raise ValueError(msg)
    mask = MaskPrompt(
        object_id=object_id,
        frame_idx=frame_idx,
        shape=(height, width),
        corner=(y0, x0),
        size=(h, w),
        bits=bits,
    )
    kinds: tuple[OutlineKind, ...] = ("polygon", "ellipse")
    single = [(kind, item[kind], 1) for kind in kinds if kind in item]
    outlines = tuple(
        Outline(kind=kind, vertices=_pairs(vertices), label=int(label))
        for kind, vertices, label in item.get("outlines", single)
    )
    return OutlinePrompt(**vars(mask), outlines=outlines) if outlines else mask


def _pairs(points: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(y), float(x)) for y, x in points)
