import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from napari_sam2.stacks import StackError, open_stack
from napari_sam2.stacks.colours import PALETTE, object_colours
from napari_sam2.stacks.labelled import LabelledStack
from napari_sam2.stacks.overlay import draw_overlay, shown_size, write_overlay
from napari_sam2.stacks.samples import cells_movie
from napari_sam2.stacks.writing import finish

SAMPLE = cells_movie(n_frames=5, size=64)


def stack(**options):
    return LabelledStack(SAMPLE.labels, open_stack(SAMPLE.image), **options)


def pictures(path, shape=(512, 512)):
    if path.suffix == ".gif":
        with Image.open(path) as movie:
            for t in range(movie.n_frames):
                movie.seek(t)
                yield np.array(movie.convert("RGB"))
        return
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    raw = [*ffmpeg, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = subprocess.run(raw, check=True, capture_output=True).stdout
    yield from np.frombuffer(pixels, np.uint8).reshape(-1, *shape, 3)


@pytest.mark.parametrize(("name", "error"), [("a.gif", 6), ("a.mp4", 12)])
def test_the_movie_shows_what_was_drawn(tmp_path, name, error):
    work = write_overlay(stack(), tmp_path / name, fps=20)
    assert list(work) == [(t + 1, 5) for t in range(5)]
    image = open_stack(SAMPLE.image)
    seen = list(pictures(tmp_path / name))
    assert len(seen) == 5
    for t, picture in enumerate(seen):
        drawn = draw_overlay(image.read(t), SAMPLE.labels[t], size=(512, 512))
        assert picture.shape == drawn.shape
        assert np.abs(picture.astype(int) - drawn).mean() < error
    assert np.abs(seen[4].astype(int) - seen[0]).mean() > 1


def test_a_gif_keeps_time_and_repeats(tmp_path):
    finish(write_overlay(stack(), tmp_path / "a.gif", fps=4))
    with Image.open(tmp_path / "a.gif") as movie:
        assert (movie.info["duration"], movie.info["loop"]) == (250, 0)


def test_odd_sizes_are_made_even_for_mp4(tmp_path):
    labels = np.ones((2, 601, 603), np.uint8)
    odd = LabelledStack(labels, open_stack(labels, contrast_limits=(0, 2)))
    finish(write_overlay(odd, tmp_path / "a.mp4"))
    assert len(list(pictures(tmp_path / "a.mp4", (602, 604)))) == 2


def test_outline_tint_and_number():
    frame = np.full((600, 600, 3), 0.5, np.float32)
    plane = np.zeros((600, 600), np.uint16)
    plane[100:300, 100:300] = 1
    plane[100:300, 300:500] = 2
    drawn = draw_overlay(frame, plane, numbers=False, opacity=0.5)
    first, second = object_colours(np.array([1, 2]))
    assert drawn[0, 0].tolist() == [128, 128, 128]
    assert drawn[100, 200].tolist() == drawn[200, 299].tolist() == first.tolist()
    assert drawn[200, 300].tolist() == second.tolist()
    tint = 127.5 + 0.5 * (first - 127.5)
    assert np.abs(drawn[130, 130] - tint).max() <= 1
    plain = draw_overlay(frame, plane, numbers=False, opacity=0)
    assert plain[130, 130].tolist() == [128, 128, 128]
    numbered = draw_overlay(frame, plane, opacity=0.5)
    changed = np.argwhere((numbered != drawn).any(axis=2))
    assert len(changed) > 20
    assert np.abs(changed - [199.5, 300]).max() < 110


def test_a_number_stays_in_the_picture():
    frame, plane = np.zeros((600, 600, 3)), np.zeros((600, 600), np.uint32)
    plane[0, 599] = 123456
    bare = draw_overlay(frame, plane, numbers=False)
    changed = np.argwhere((draw_overlay(frame, plane) != bare).any(axis=2))
    assert changed[:, 1].min() > 500
    assert np.ptp(changed[:, 1]) > 40


@pytest.mark.parametrize(
    ("size", "shown"),
    [((64, 64), (512, 512)), ((600, 700), (600, 700)), ((3840, 1000), (1920, 500))],
)
def test_size(size, shown):
    assert shown_size(*size) == shown
    drawn = draw_overlay(np.ones((*size, 3)), np.ones(size, int), size=shown)
    assert drawn.shape == (*shown, 3)


def test_the_palette_repeats():
    ids = np.array([1, len(PALETTE) + 1, 2])
    colours = object_colours(ids)
    assert colours[0].tolist() == colours[1].tolist() == [255, 176, 0]
    assert colours[2].tolist() == [56, 182, 255]


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("a.avi", {}, "mp4 or .gif"),
        ("a.gif", {"fps": 0}, "0 pictures a second"),
        ("a.gif", {"opacity": 2}, "opacity"),
    ],
)
def test_one_sentence(tmp_path, name, options, says):
    with pytest.raises(StackError, match=says):
        finish(write_overlay(stack(), tmp_path / name, **options))
    assert list(tmp_path.iterdir()) == []


def test_without_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(StackError, match=r"napari-sam2\[video\].*\.gif"):
        finish(write_overlay(stack(), tmp_path / "a.mp4"))
    assert list(tmp_path.iterdir()) == []
