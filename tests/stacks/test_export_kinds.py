"""What holds for everything that can be exported."""

import contextlib

import numpy as np
import pytest

from napari_sam2.stacks import ExportError, StackError, open_stack
from napari_sam2.stacks.export_kinds import EXPORTS, export, guess_kind
from napari_sam2.stacks.writing import finish

RNG = np.random.default_rng(0)
LABELS = np.maximum(RNG.integers(-30, 30, (4, 160, 160)), 0).astype(np.uint16)
IMAGE = open_stack(RNG.integers(0, 65536, LABELS.shape).astype(np.uint16))
PLACES = [
    (kind, f"out{ending}")
    for kind, known in EXPORTS.items()
    for ending in known.endings
]
ONE = {"cutouts": [3]}


def begun(kind, path):
    objects = ONE.get(kind) if path.suffix else None
    return export(kind, LABELS, path, image=IMAGE, objects=objects)


def drained(work):
    steps = []
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            return steps, end.value


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.fixture
def small_files():
    """No file may grow beyond 2000 bytes, as on a disk that is full."""
    import resource  # POSIX only

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_it_reports_and_returns_where_it_is(tmp_path, kind, name):
    steps, path = drained(begun(kind, tmp_path / "new" / name))
    assert path == tmp_path / "new" / name
    shares = [done / of for done, of in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [p.name for p in (tmp_path / "new").iterdir()] == [name]


@pytest.mark.parametrize(("kind", "name"), PLACES)
@pytest.mark.parametrize("before", [False, True])
def test_cancelled_at_the_last_moment(tmp_path, kind, name, before):
    if before:
        finish(begun(kind, tmp_path / name))
    there = names(tmp_path)
    with contextlib.closing(begun(kind, tmp_path / name)) as work:
        for done, of in work:
            if done == of:
                break
    assert names(tmp_path) == there


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(("kind", "name"), PLACES)
def test_a_full_disk(tmp_path, kind, name):
    with pytest.raises(ExportError, match="nothing was changed") as caught:
        finish(begun(kind, tmp_path / name))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_titles_are_short_and_say_something():
    for known in EXPORTS.values():
        assert len(known.title) < 35
        assert known.about.endswith(".")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.tif", "tif"),
        ("a.ome.TIFF", "tif"),
        ("a.zarr", "zarr"),
        ("a.csv", "csv"),
        ("a.png", "plot"),
        ("a.mp4", "overlay"),
        ("a.gif", "overlay"),
        ("a.json", "sav"),
    ],
)
def test_the_ending_says_what(name, kind):
    assert guess_kind(name) == kind


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: guess_kind("folder"), "choose a format"),
        (lambda: export("xls", LABELS, "a.xls"), "'xls' is no format"),
        (lambda: export("csv", LABELS, "a.tif"), "give a name with .csv"),
        (lambda: export("davis", LABELS, "a.tif"), "a folder"),
        (lambda: export("overlay", LABELS, "a.gif"), "needs the image"),
        (lambda: export("tif", LABELS[0], "a.tif"), "no label stack"),
        (
            lambda: export("mask", LABELS, "a.tif", frames=range(9)),
            "not all among",
        ),
    ],
)
def test_it_is_refused_at_once(make, says):
    with pytest.raises(StackError, match=says):
        make()


@pytest.mark.parametrize("name", ["session.sam2.zarr", "image.zarr"])
def test_a_group_of_arrays_is_never_replaced(tmp_path, name):
    """A session or an OME-Zarr image is much more than one array of labels."""
    import zarr

    zarr.create_group(store=str(tmp_path / name))
    with pytest.raises(StackError, match="choose another name"):
        finish(export("zarr", LABELS, tmp_path / name))
    assert (tmp_path / name / "zarr.json").exists()
