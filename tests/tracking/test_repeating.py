"""Cells clicked in one volume are found in the volumes before and after."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest
import zarr

from napari_sam2 import Repetition
from napari_sam2.model import load_model
from napari_sam2.stacks import StackError, open_stack, save_labels
from napari_sam2.tracking import PromptError, Session, SessionFileError
from napari_sam2.tracking.repetition_folder import Walk

T, Z, SIDE = 3, 4, 96
Y, X = np.mgrid[:SIDE, :SIDE]


def truth(t, z, object_id):
    """Where a cell is: both creep as time goes on, and lean with depth."""
    if object_id == 1:
        return (Y - 40 - 2 * t) ** 2 + (X - 44 - z - 3 * t) ** 2 < 160
    return (Y - 70) ** 2 + (X - 24 - z + 2 * t) ** 2 < 100


def make_volumes():
    volumes = np.random.default_rng(1).integers(0, 40, (T, Z, SIDE, SIDE), np.uint16)
    for t in range(T):
        for z in range(Z):
            volumes[t, z][truth(t, z, 1)] += 1500
            volumes[t, z][truth(t, z, 2)] += 1000
    return volumes


@pytest.fixture(scope="module")
def volumes():
    return make_volumes()


@pytest.fixture(scope="module")
def trained():
    return load_model("nano", device="cpu")


def begin(trained, volumes, **given):
    stack = open_stack(volumes, axes="TZYX", fixed={"T": 1})
    session = Session(trained, stack, **given)
    session.add_points(1, 2, [(42, 49)])
    session.add_points(2, 0, [(70, 22)])
    for _ in session.propagate("both"):
        pass
    return session


def overlap(labels, t, z, object_id):
    found, true = labels[t, z] == object_id, truth(t, z, object_id)
    return (found & true).sum() / (found | true).sum()


def test_every_volume_is_filled_and_taken_back(trained, volumes):
    with (
        begin(trained, volumes) as session,
        Repetition(session, "t") as repetition,
    ):
        assert repetition.axes == "TZYX"
        todo = repetition.frames_to_do()
        planes = list(repetition.run())
        assert sum(not plane.again for plane in planes) == todo
        assert {plane.place for plane in planes} >= {
            (t, z) for t in (0, 2) for z in range(Z)
        }
        labels = np.array(repetition.labels)
        for t in range(T):
            for z in range(Z):
                for object_id in (1, 2):
                    assert overlap(labels, t, z, object_id) > 0.8
        assert (labels[1] == session.labels).all()
        assert repetition.frames_to_do() == 0
        assert list(repetition.run()) == []
        assert repetition.turn(undo=True) == "repetition over T"
        assert not repetition.labels[[0, 2]].any()
        assert repetition.frames_to_do() == todo
        assert repetition.turn(undo=True) is None
        assert repetition.turn(undo=False) == "repetition over T"
        assert (repetition.labels == labels).all()
        assert repetition.frames_to_do() == 0


def test_it_goes_on_after_it_was_stopped(trained, volumes, tmp_path):
    with begin(trained, volumes) as session, Repetition(session, "T") as whole:
        in_all = len(list(whole.run()))
    path = tmp_path / "kept"
    with (
        begin(trained, volumes, path=path) as session,
        Repetition(session, "T") as first,
    ):
        running = first.run()
        done = [next(running) for _ in range(in_all - 3)]  # within the last volume
        running.close()
    stack = open_stack(volumes, axes="TZYX", fixed={"T": 1})
    with (
        Session.open(path, model=trained, stack=stack) as session,
        Repetition(session, "T") as second,
    ):
        assert 0 < second.frames_to_do() == Z
        rest = list(second.run())
        assert {plane.place[0] for plane in rest} == {done[-1].place[0]}
        assert (np.array(second.labels) == whole.labels).all()
        with pytest.raises(SessionFileError, match="being repeated already"):
            Repetition(session, "T")
        second.close()
        shared = np.zeros((T, Z, SIDE, SIDE), np.uint16)
        with Repetition(session, "T", labels=shared) as third:
            third.copy_kept()
            assert (shared[[0, 2]] == whole.labels[[0, 2]]).all()
            assert third.frames_to_do() == 0
        folder = path.with_suffix(".sam2.zarr")
        for damaged in ("[", '{"walk": {"direction": "up", "frames": null}}'):
            (folder / "over_T.json").write_text(damaged)
            with pytest.raises(SessionFileError, match="remove it"):
                Repetition(session, "T")
        assert not (folder / "over_T.lock").exists()


def test_one_writes_at_a_time(trained, volumes, tmp_path):
    with begin(trained, volumes, path=tmp_path / "kept") as session:
        lock = session.path / "over_T.lock"
        with Repetition(session, "T") as first:
            assert lock.exists()
            with pytest.raises(SessionFileError) as told:
                Repetition(session, "T")
            assert str(os.getpid()) in str(told.value)
            assert str(lock) in str(told.value)
            next(first.run())  # the one that has it is not disturbed
        assert not lock.exists()
        lock.write_text(f"{2**22 + 5} {socket.gethostname()}")  # of a process that died
        with Repetition(session, "T"):
            assert lock.read_text().split()[0] == str(os.getpid())
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
        try:
            lock.write_text(f"{child.pid} {socket.gethostname()}")
            with pytest.raises(SessionFileError, match=f"process {child.pid} on"):
                Repetition(session, "T")
        finally:
            child.communicate(b"")
        Repetition(session, "T").close()


def test_it_goes_along_when_the_session_is_saved_elsewhere(trained, volumes, tmp_path):
    with (
        begin(trained, volumes, path=tmp_path / "kept") as session,
        Repetition(session, "T") as repetition,
    ):
        list(repetition.run())
        labels, old = np.array(repetition.labels), session.path
        session.save_as(tmp_path / "moved")
        assert not (session.path / "over_T.lock").exists()
        shutil.rmtree(old)
        assert repetition.turn(undo=True)
        assert not old.exists()
        list(repetition.run())
        assert (session.path / "over_T.lock").exists()
        assert (np.array(repetition.labels) == labels).all()
        kept = zarr.open_array(str(session.path / "over_T"), mode="r")
        assert (kept[:] == labels).all()
    assert not (tmp_path / "moved.sam2.zarr" / "over_T.lock").exists()


def test_how_sure_each_volume_is(trained, volumes, tmp_path):
    path = tmp_path / "kept"
    with (
        begin(trained, volumes, path=path) as session,
        Repetition(session, "T") as repetition,
    ):
        assert repetition.reviews(1).keys() == {1, 2}
        assert repetition.reviews(1)[1].prompted.any()
        assert repetition.reviews(0) == {}
        for plane in repetition.run():
            t, z = plane.place
            for object_id in plane.result.scores:
                row = repetition.scores.row(object_id, t, z)
                assert row.area == (repetition.labels[t, z] == object_id).sum()
        seen = {t: repetition.reviews(t) for t in (0, 2)}
        for t, objects in seen.items():
            for object_id, found in objects.items():
                assert (found.confidence > 0.5).all()
                assert not found.prompted.any()
                assert not found.outdated.any()
                for z in range(Z):
                    plane = np.array(repetition.labels[t, z])
                    assert found.area[z] == (plane == object_id).sum()
        # The plane that was followed over time is judged, not taken for granted.
        assert seen[0][1].confidence[2] < 1
        assert repetition.turn(undo=True)
        assert repetition.reviews(2) == {}
        assert repetition.turn(undo=False)
        assert_same(repetition.reviews(2), seen[2])
    stack = open_stack(volumes, axes="TZYX", fixed={"T": 1})
    with (
        Session.open(path, model=trained, stack=stack) as session,
        Repetition(session, "T") as again,
    ):
        assert_same(again.reviews(0), seen[0])
        session.add_mask(1, 2, truth(1, 2, 1))  # where it is carried from
        session.preview(2)
        assert again.reviews(0)[2].outdated.all()
    scores = path.with_suffix(".sam2.zarr") / "over_T.scores"
    (scores / "0.npz").write_bytes(b"PK")
    with (
        Session.open(path, model=trained, stack=stack) as session,
        pytest.raises(SessionFileError, match="repeat again to have how sure"),
    ):
        Repetition(session, "T")


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for object_id, one in expected.items():
        for name in ("confidence", "area", "flags", "outdated"):
            same = getattr(found[object_id], name) == getattr(one, name)
            assert same.all(), (object_id, name)


def test_a_stopped_volume_is_to_be_done_again(trained, volumes):
    with begin(trained, volumes) as session, Repetition(session, "T") as repetition:
        running = repetition.run()
        for plane in running:
            if plane.place == (0, 2) and len(plane.result.scores) == 2:
                break
        running.close()
        found = repetition.reviews(0)
        assert (~np.isnan(found[1].confidence)).sum() > 0
        assert (found[1].outdated == ~np.isnan(found[1].confidence)).all()


def test_a_correction_of_a_carried_plane_is_repeated(trained, volumes):
    with begin(trained, volumes) as session, Repetition(session, "T") as repetition:
        list(repetition.run())
        session.add_mask(2, 3, truth(1, 3, 2))  # smaller than where it is carried from
        assert repetition.frames_to_do() == 0
        session.remove_object(1)
        assert repetition.frames_to_do() == 2 * Z
        list(repetition.run())
        assert not (np.array(repetition.labels) == 1).any()
        assert repetition.reviews(0).keys() == {2}


def test_cells_that_are_not_there_any_more_are_erased(trained, volumes, monkeypatch):
    monkeypatch.setattr(Repetition, "_carry", lambda *_: iter(()))  # found nowhere
    with begin(trained, volumes) as session, Repetition(session, "T") as repetition:
        repetition.labels[2, 3, 5:9, 5:9] = 1
        repetition.labels[2, 1, 5:9, 5:9] = 7  # somebody else's
        list(repetition.run())
        assert set(np.unique(repetition.labels[[0, 2]])) == {0, 7}
        assert (np.array(repetition.labels[1]) == session.labels).all()


def test_what_cannot_be_repeated_is_said(trained, volumes):
    with (
        Session(trained, volumes[0], axes="ZYX") as session,
        pytest.raises(StackError, match="holds no other; hold the axis"),
    ):
        Repetition(session, "T")
    stack = open_stack(volumes, axes="TZYX", fixed={"T": 1})
    with (
        Session(trained, stack) as session,
        Repetition(session, "T") as repetition,
        pytest.raises(PromptError, match="No cell"),
    ):
        list(repetition.run())


def test_labels_of_all_volumes_are_one_file(tmp_path):
    labels = np.random.default_rng(0).integers(0, 9, (2, 3, 4, 5), np.uint16)
    steps = {"scale": (1, 2.0, 0.5, 0.5), "units": ("second", *("micrometer",) * 3)}
    path = save_labels(labels, tmp_path / "all.tif", axes="TZYX", **steps)
    with open_stack(path, fixed={"T": 1}) as stack:
        assert (stack.axes, stack.followed) == ("TZYX", "Z")
        assert (stack.read_raw(2) == labels[1, 2]).all()
    with pytest.raises(StackError, match="T, Y, X"):
        save_labels(labels, tmp_path / "all.tif")


def test_it_knows_how_it_went_through_volumes(trained, volumes, tmp_path):
    path = tmp_path / "kept"
    with begin(trained, volumes, path=path) as session:
        with Repetition(session, "T") as repetition:
            assert repetition.walk is None
            list(repetition.run("forward", range(2, Z)))
            walk = repetition.walk
            list(repetition.run())
            assert repetition.walk != walk
            assert repetition.turn(undo=True)
            assert repetition.walk == walk
        with Repetition(session, "T") as again:
            assert again.walk == walk == Walk(direction="forward", frames=[2, 3])


def test_an_object_is_removed_from_all_volumes(trained, volumes, tmp_path):
    path = tmp_path / "kept"
    with (
        begin(trained, volumes, path=path) as session,
        Repetition(session, "T") as repetition,
    ):
        list(repetition.run())
        labels, known = np.array(repetition.labels), repetition.reviews(0)
        assert (labels == 2).any(axis=(2, 3)).all()

        def remove():
            repetition.remove_object(2)
            session.remove_object(2)

        def again():
            assert repetition.turn(undo=False) == "delete 2"
            session.redo()

        for step in (remove, again):
            step()
            now = np.array(repetition.labels)[[0, 2]]
            assert (now == np.where(labels == 2, 0, labels)[[0, 2]]).all()
            # The other one is neither gone nor to be followed again.
            assert repetition.frames_to_do() == 0
            assert_same(repetition.reviews(0), {1: known[1]})
            assert repetition.turn(undo=True) == "delete 2"
            session.undo()
            assert (np.array(repetition.labels) == labels).all()
            assert repetition.frames_to_do() == 0
            assert_same(repetition.reviews(0), known)
        again()
        repetition.remove_object(7)  # nobody knows it
        assert repetition.undoable == 2
    stack = open_stack(volumes, axes="TZYX", fixed={"T": 1})
    with (
        Session.open(path, model=trained, stack=stack) as session,
        Repetition(session, "T") as after,
    ):
        assert after.reviews(2).keys() == {1}
        assert not (np.array(after.labels)[[0, 2]] == 2).any()
