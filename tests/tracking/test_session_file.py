"""Sessions on disk: reopened, killed, cut off, foreign, and done again."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_sam2.stacks import StackError
from napari_sam2.tracking import PromptError, Session, SessionFileError
from napari_sam2.tracking.prompt_json import prompt_from_json, prompt_to_json
from napari_sam2.tracking.prompts import BoxPrompt, MaskPrompt, PointPrompt
from napari_sam2.tracking.replaying import open_replay
from napari_sam2.tracking.session_file import read_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_sam2.model import SAM2

N, HEIGHT, WIDTH = 14, 48, 64


def disc(y: int, x: int, radius: int = 8) -> np.ndarray:
    yy, xx = np.mgrid[:HEIGHT, :WIDTH]
    return (yy - y) ** 2 + (xx - x) ** 2 < radius**2


@pytest.fixture
def place(tmp_path: Path, movie: np.ndarray) -> Path:
    """A folder with the movie in it."""
    np.save(tmp_path / "movie.npy", movie)
    return tmp_path


@pytest.fixture
def begun(place: Path, opened: Callable[..., Session]) -> Callable[..., Session]:
    """Give a function that begins a session on disk."""

    def begin(name: str = "cells") -> Session:
        return opened(place / "movie.npy", path=place / name)

    return begin


def known(session: Session) -> Any:
    return (
        np.array(session.labels).tobytes(),
        session.prompts,
        {i: (session.locked(i), session.stale(i)) for i in session.object_ids},
    )


def work(session: Session) -> None:
    """Do a bit of everything."""
    session.add_points(1, 0, [(16, 20)], [1])
    session.preview(0)
    session.add_box(2, 2, (26, 42, 42, 58))
    for _ in session.propagate("both"):
        pass
    session.add_mask(1, 6, disc(22, 32))
    running = session.propagate()
    next(running)
    next(running)
    running.close()
    session.lock(2, [9, 10])
    session.add_points(2, 12, [(3, 3)], [0])
    session.undo()
    session.split(2, 11)
    session.swap(1, 2, 8)


def test_a_session_is_as_it_was_when_it_is_opened_again(
    begun: Callable[..., Session], nano: SAM2
) -> None:
    session = begun()
    work(session)
    before, path = known(session), session.path
    session.close()
    assert path is not None
    assert path.name == "cells.sam2.zarr"
    with Session.open(path, model=nano) as again:
        assert known(again) == before
        assert again.stack.contrast_limits == ((0.0, 255.0),)
        assert again.undoable == []
        wanted = again.frames_to_do("both")
        assert wanted
        assert len(list(again.propagate("both"))) == wanted
        assert again.frames_to_do("both") == 0
    # Any program that reads zarr can read the labels.
    labels = zarr.open_group(str(path), mode="r")["labels"]
    assert labels.shape == (N, HEIGHT, WIDTH)
    assert set(np.unique(labels[:])) >= {1, 2}


def test_a_correction_the_next_day_redoes_only_what_it_reaches(
    begun: Callable[..., Session], nano: SAM2, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begun()
    session.add_points(1, 0, [(16, 20)], [1])
    for _ in session.propagate():
        pass
    before, path = np.array(session.labels), session.path
    session.close()
    encoded = []
    encode = type(nano).encode_image

    def counted(self: SAM2, pixels: Any) -> Any:
        encoded.append(len(pixels))
        return encode(self, pixels)

    monkeypatch.setattr(type(nano), "encode_image", counted)
    with Session.open(path, model=nano) as again:
        assert not encoded  # opening computes nothing
        again.add_mask(1, 10, disc(26, 40))
        assert [r.frame_idx for r in again.propagate()] == [10, 11, 12, 13]
        # The prompted frame, the corrected one, and the three after it.
        assert len(encoded) <= 6
        np.testing.assert_array_equal(np.array(again.labels)[:10], before[:10])
        memory = again.bank(1).conditioning[0]
        assert memory.seen


KILLED = """
import os, signal, sys, torch, numpy as np
sys.path.insert(0, {tests!r})
from conftest import make_model
from napari_sam2.tracking import Session
torch.set_num_threads(1)
session = Session(make_model("nano", 64), {movie!r}, axes="TYX",
                  contrast_limits=(0, 255), path={path!r})
session.add_points(1, 0, [(16, 20)], [1])
session.add_points(2, 0, [(34, 50)], [1])
for result in session.propagate():
    print(result.frame_idx, np.count_nonzero(result.labels), flush=True)
"""


def test_kill_9_loses_at_most_the_frame_in_flight(place: Path, nano: SAM2) -> None:
    """The result after going on is that of a run that was not killed."""
    movie = np.concatenate([np.load(place / "movie.npy")] * 4)
    np.save(place / "long.npy", movie)
    code = KILLED.format(
        tests=os.path.dirname(__file__),
        movie=str(place / "long.npy"),
        path=str(place / "cells"),
    )
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(9)]
        process.kill()
        said += process.stdout.readlines()
    counts = [int(line.split()[1]) for line in said if len(line.split()) == 2]
    assert 9 <= len(counts) < len(movie)
    with Session.open(place / "cells", model=nano) as session:
        done = np.array(session.labels)
        found = [np.count_nonzero(plane) for plane in done[: len(counts)]]
        assert found == counts
        first = min(session.stale(1))
        # Reported frames are done; the next one may have been written as well.
        assert len(counts) <= first <= len(counts) + 1
        assert session.object_ids == [1, 2]
        left = [r.frame_idx for r in session.propagate()]
        assert left == list(range(first, len(movie)))
        np.testing.assert_array_equal(np.array(session.labels)[:first], done[:first])


def test_an_edit_that_was_cut_off_is_finished(
    begun: Callable[..., Session], nano: SAM2, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = begun("whole"), begun("cut")
    for session in (whole, cut):
        for t in range(N):
            session.add_mask(1, t, disc(16, 20))
            session.add_mask(2, t, disc(34, 48))
            session.preview(t)
    whole.swap(1, 2, 4)
    write, calls = type(cut._store).write, []

    def dies(self: Any, t: int, plane: Any, **given: Any) -> None:
        calls.append(t)
        if len(calls) == 4:
            raise KeyboardInterrupt
        write(self, t, plane, **given)

    monkeypatch.setattr(type(cut._store), "write", dies)
    with pytest.raises(KeyboardInterrupt):
        cut.swap(1, 2, 4)
    monkeypatch.undo()
    mixed, path = np.array(cut.labels), cut.path
    assert not np.array_equal(mixed, np.array(whole.labels))
    cut.close()
    for _ in range(2):  # finished once, not once more
        with Session.open(path, model=nano) as again:
            np.testing.assert_array_equal(
                np.array(again.labels), np.array(whole.labels)
            )


def test_an_undo_that_was_cut_off_is_tracked_again(
    begun: Callable[..., Session], nano: SAM2, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begun()
    session.add_mask(1, 0, disc(16, 20))
    for _ in session.propagate():
        pass
    session.add_mask(1, 6, disc(30, 30))
    for _ in session.propagate():
        pass
    edit, calls = Session._edit, []

    def dies(self: Any, frames: Any, *args: Any, **kwargs: Any) -> None:
        edit(self, frames, *args, **kwargs)
        calls.extend(frames)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Session, "_edit", dies)
    with pytest.raises(KeyboardInterrupt):
        session.undo()
    monkeypatch.undo()
    path = session.path
    session.close()
    with Session.open(path, model=nano) as again:
        assert set(again.stale(1)) >= {t for t in calls if t != 6}
        for _ in again.propagate("both"):
            pass
        assert again.stale(1) == []


def test_replaying_gives_the_same_labels(
    begun: Callable[..., Session], nano: SAM2, place: Path
) -> None:
    session = begun()
    session.add_points(1, 0, [(16, 20)], [1])
    session.add_box(2, 2, (26, 42, 42, 58))
    for _ in session.propagate("both"):
        pass
    session.add_mask(1, 6, disc(22, 32))
    running = session.propagate()
    next(running)
    running.close()
    session.undo()
    session.redo()
    session.split(2, 11)
    path = session.path
    session.close()
    with Session.open(path, model=nano) as tomorrow:  # goes on from its labels
        tomorrow.add_points(1, 3, [(17, 24)], [1])
        again = tomorrow.frames_to_do("both")
        for _ in tomorrow.propagate("both"):
            pass
    with open_replay(path, model=nano) as replay:
        assert len(list(replay.run())) == replay.n_results == N + 2 + 1 + again
        assert list(replay.differences()) == []
    with Session.open(path, model=nano) as edited:
        edited.labels[4, :3, :5] = 9
    with open_replay(path, model=nano, output=place / "second") as replay:
        list(replay.run())
        (found,) = replay.differences()
    assert found.frame_idx == 4
    assert found.pixels == 15
    assert found.ious[9] == 0  # the replay has no such object
    assert (place / "second.sam2.zarr" / "labels").is_dir()


def test_one_process_at_a_time(begun: Callable[..., Session], nano: SAM2) -> None:
    session = begun()
    with pytest.raises(SessionFileError, match="exists already; open it"):
        begun()
    with pytest.raises(SessionFileError, match=r"is open already \(process \d+ on"):
        Session.open(session.path, model=nano)
    path = session.path
    session.close()
    lock = path / "lock"
    lock.write_text(f"{2**22 + 5} {socket.gethostname()}")  # of a process that died
    Session.open(path, model=nano).close()
    assert not lock.exists()


def damage(path: Path, what: str) -> None:
    header, journal = path / "session.json", path / "journal.jsonl"
    if what == "nothing there":
        shutil.rmtree(path)
    elif what == "foreign":
        header.unlink()
    elif what == "other json":
        header.write_text("[1, 2]")
    elif what == "truncated header":
        header.write_text(header.read_text()[:50])
    elif what == "later version":
        header.write_text(json.dumps(json.loads(header.read_text()) | {"version": 9}))
    elif what == "incomplete":
        table = json.loads(header.read_text())
        del table["shape"]
        header.write_text(json.dumps(table))
    elif what == "middle of the journal":
        lines = journal.read_text().splitlines()
        journal.write_text("\n".join([lines[0][:9], *lines[1:]]) + "\n")
    elif what == "nonsense in the journal":
        journal.write_text('{"do":"dance"}\n')
    elif what == "no journal":
        journal.unlink()
    elif what == "no labels":
        shutil.rmtree(path / "labels")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("nothing there", "does not exist; choose a folder"),
        ("foreign", "is no session: it has no session.json"),
        ("other json", "is no session of napari-sam2"),
        ("truncated header", "session.json cannot be read. Its labels are in"),
        ("later version", "later version of napari-sam2 .*update"),
        ("incomplete", "session.json is incomplete"),
        ("middle of the journal", "line 1 of journal.jsonl is unreadable"),
        ("nonsense in the journal", "line 1 of its journal cannot be followed"),
        ("no journal", "its journal.jsonl cannot be read"),
        ("no labels", "its labels cannot be opened"),
    ],
)
def test_damaged_and_foreign_sessions_get_one_sentence(
    begun: Callable[..., Session], nano: SAM2, what: str, says: str
) -> None:
    session = begun()
    session.add_mask(1, 0, disc(16, 20))
    path = session.path
    session.close()
    damage(path, what)
    with pytest.raises(SessionFileError, match=says) as caught:
        Session.open(path, model=nano)
    assert "\n" not in str(caught.value)
    assert not (path / "lock").exists()


def test_a_line_that_was_cut_off_is_dropped(
    begun: Callable[..., Session], nano: SAM2
) -> None:
    session = begun()
    session.add_mask(1, 0, disc(16, 20))
    path = session.path
    session.close()
    journal = path / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"do":"prompt","pro')
    partial = path / "labels" / "c.partial"
    partial.write_bytes(b"half")
    with Session.open(path, model=nano) as again:
        assert again.object_ids == [1]
        again.add_mask(2, 0, disc(34, 48))
    assert journal.read_bytes().startswith(whole)
    done = [entry["do"] for entry in read_journal(path)[0]]
    assert done == ["prompt", "open", "prompt"]
    assert not partial.exists()


def test_the_image_and_the_model_are_found_again_or_asked_for(
    begun: Callable[..., Session],
    opened: Any,
    nano: SAM2,
    tiny: SAM2,
    place: Path,
    movie: np.ndarray,
) -> None:
    session = begun()
    session.add_mask(1, 0, disc(16, 20))
    path = session.path
    session.close()
    with pytest.raises(SessionFileError, match="a model from no file; give it"):
        Session.open(path)
    with pytest.raises(SessionFileError, match="made on another image"):
        Session.open(path, model=nano, stack=movie[:5])
    with pytest.raises(SessionFileError, match="made on another image"):
        Session.open(path, model=nano, stack=movie + 1)
    (place / "movie.npy").rename(place / "moved.npy")
    with pytest.raises(SessionFileError, match=r"cannot be opened .* say where"):
        Session.open(path, model=nano)
    with Session.open(path, model=tiny, stack=place / "moved.npy") as other:
        next(other.propagate())  # with another model, too
    in_memory = opened(path=place / "memory")
    in_memory.close()
    with pytest.raises(SessionFileError, match="array in memory; give the same"):
        Session.open(place / "memory", model=nano)
    with Session.open(place / "memory", model=nano, stack=movie) as again:
        assert again.object_ids == []
    with pytest.raises(SessionFileError, match=r"ends in \.sam2\.zarr, not"):
        Session(nano, movie, axes="TYX", path=place / "labels.zarr")
    with pytest.raises(ValueError, match="leave labels out"):
        Session(nano, movie, axes="TYX", path=place / "x", labels=place / "y.zarr")


def test_a_folder_deleted_while_tracking_is_noticed(
    begun: Callable[..., Session], opened: Any, place: Path
) -> None:
    session = begun()
    session.add_mask(1, 0, disc(16, 20))
    running = session.propagate()
    next(running)
    shutil.rmtree(session.path)
    with pytest.raises((SessionFileError, StackError), match="deleted"):
        next(running)
    assert not (session.path / "labels").exists()  # no half of a new one
    labels = opened(place / "movie.npy", labels=place / "labels.zarr")
    labels.add_mask(1, 0, disc(16, 20))
    running = labels.propagate()
    next(running)
    shutil.rmtree(place / "labels.zarr")
    with pytest.raises(StackError, match="folder was deleted"):
        next(running)


def test_a_full_disk_loses_nothing_that_was_done(
    begun: Callable[..., Session], nano: SAM2, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begun()
    session.add_mask(1, 0, disc(16, 20))
    running = session.propagate()
    for _ in range(4):
        next(running)
    before = np.array(session.labels)
    from zarr.storage import _local

    def full(*_: Any, **__: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_local, "_put", full)
    with pytest.raises(StackError, match=r"frame 4 could not be written .No space"):
        next(running)
    monkeypatch.undo()
    np.testing.assert_array_equal(np.array(session.labels), before)
    assert session.stale(1) == list(range(4, N))
    assert len(list(session.propagate())) == N - 4  # with room again, it goes on
    path = session.path
    session.close()
    with Session.open(path, model=nano) as again:
        assert again.stale(1) == []


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    actions=st.lists(
        st.tuples(
            st.sampled_from(
                ["click", "mask", "forward", "both", "lock", "swap", "undo", "redo"]
            ),
            st.integers(0, 5),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_was_done_is_there_again(
    nano: SAM2, movie: np.ndarray, tmp_path_factory: Any, actions: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("sessions") / "cells"
    session = Session(nano, movie, axes="TYX", contrast_limits=(0, 255), path=path)
    session.add_mask(1, 0, disc(16, 20))
    session.add_mask(2, 0, disc(34, 48))
    do: dict[str, Callable[[int], Any]] = {
        "click": lambda t: session.add_points(1, t, [(16, 20)], [1]),
        "mask": lambda t: session.add_mask(2, t, disc(34, 40 + t)),
        "forward": lambda t: [*session.propagate(frames=range(t, t + 3))],
        "both": lambda t: [*session.propagate("both", frames=range(t, t + 3))],
        "lock": lambda t: session.lock(1, t),
        "swap": lambda t: session.swap(1, 2, t),
        "undo": lambda t: session.undo() if len(session.undoable) > 2 else None,
        "redo": lambda t: session.redo(),
    }
    for name, t in actions:
        try:
            do[name](t)
        except PromptError:
            assert name in ("click", "mask")  # on a locked frame
    before = known(session)
    session.close()
    with Session.open(path, model=nano, stack=movie) as again:
        assert known(again) == before


@given(
    points=st.lists(
        st.tuples(st.floats(0, 40), st.floats(0, 60)), min_size=1, max_size=4
    ),
    mask=st.integers(0, 2**24 - 1),
)
def test_prompts_survive_json(points: list[tuple[float, float]], mask: int) -> None:
    bits = np.array([mask >> k & 1 for k in range(24)], bool).reshape(4, 6)
    for prompt in (
        PointPrompt(
            object_id=3, frame_idx=2, points=tuple(points), labels=(1,) * len(points)
        ),
        BoxPrompt(object_id=1, frame_idx=0, box=(0.5, 1, 7.25, 9)),
        MaskPrompt.from_array(4, 1, bits),
    ):
        assert (
            prompt_from_json(json.loads(json.dumps(prompt_to_json(prompt)))) == prompt
        )
    with pytest.raises(ValueError, match="has 0 bytes"):
        prompt_from_json(
            prompt_to_json(MaskPrompt.from_array(4, 1, bits & False)) | {"size": [2, 2]}
        )
