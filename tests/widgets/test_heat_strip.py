"""The heat strip: what it shows, where its clicks go, how quick it is."""

from __future__ import annotations

import time

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam2.widgets.cells import Cells
from napari_sam2.widgets.confidence_colours import COLOUR_MAPS, confidence_colours
from napari_sam2.widgets.heat_strip import GUTTER, ROW, HeatStrip
from napari_sam2.widgets.strip_picture import GAP, LIGHT, UNKNOWN, StripPicture

COLOURS = confidence_colours("orange-blue")
MIDDLE = ROW // 2
FRAME_SECONDS = 0.016


def some_cells(n_frames, *ids, confidence=1.0):
    cells = Cells(n_frames)
    for object_id in ids:
        cells[object_id].confidence[:] = confidence
        cells[object_id].area[:] = 9
    return cells


def rgb(picture, x, y=MIDDLE):
    return tuple(int(v) for v in picture.pixels[y, x, 2::-1])


def colour(confidence):
    return tuple(int(v) for v in COLOURS[round(255 * confidence)])


def drawn(cells, width):
    picture = StripPicture(width, cells.n_frames, ROW, COLOURS)
    picture.draw([cells[i] for i in cells.ids])
    return picture


@pytest.mark.parametrize("n_frames", [100, 1000, 10_007])
def test_one_bad_frame_is_seen_however_many_there_are(n_frames):
    cells = some_cells(n_frames, 1)
    bad = n_frames // 3
    cells[1].confidence[bad] = 0.1
    picture = drawn(cells, 100)
    column = int(picture.column_of(bad))
    assert rgb(picture, column) == colour(0.1)
    assert bad in picture.frames_at(column)
    others = [x for x in range(100) if rgb(picture, x) != colour(1)]
    assert others == [column]


def test_frames_wider_than_a_pixel():
    cells = some_cells(4, 1)
    cells[1].confidence[:] = (0, 0.5, 1, np.nan)
    picture = drawn(cells, 40)
    seen = [rgb(picture, x) for x in (0, 9, 10, 25, 30, 39)]
    assert seen == [
        *(colour(0), colour(0), colour(0.5), colour(1), UNKNOWN, UNKNOWN),
    ]
    assert [picture.frame_at(x) for x in (-5, 0, 9, 10, 39, 80)] == [0, 0, 0, 1, 3, 3]
    assert rgb(picture, 5, ROW - 1) == GAP


def test_marks_are_seen():
    cells = some_cells(10, 1)
    plain = drawn(cells, 200).pixels.copy()
    cell = cells[1]
    cell.prompted[2], cell.locked[4], cell.flags[6], cell.outdated[8] = (
        *(True, True, 1, True),
    )
    picture = drawn(cells, 200)
    changed = (picture.pixels != plain).any(axis=-1)
    frames = {int(picture.frame_at(x)) for x in np.flatnonzero(changed.any(axis=0))}
    assert frames == {2, 4, 6, 8}
    assert rgb(picture, 50, 0) == LIGHT  # a triangle that points down at the click
    assert rgb(picture, 50, 7) == colour(1)
    assert rgb(picture, 90, ROW - 2) == LIGHT  # a line under what is locked
    assert rgb(picture, 130, ROW - 2) == LIGHT  # a triangle that points up at a jump
    assert rgb(picture, 123, ROW - 2) == colour(1)
    faded = {rgb(picture, x) for x in range(160, 180)}
    assert GAP in faded  # hatched
    assert colour(1) not in faded


def test_drawing_a_part_gives_what_drawing_all_gives():
    rng = np.random.default_rng(0)
    for n_frames, width in ((40, 333), (333, 333), (5000, 333)):
        cells = some_cells(n_frames, 1, 2)
        picture = drawn(cells, width)
        for _ in range(12):
            first = int(rng.integers(n_frames))
            last = min(first + int(rng.integers(1, 30)), n_frames - 1)
            for cell in cells.values():
                part = slice(first, last + 1)
                shape = cell.confidence[part].shape
                cell.confidence[part] = rng.random(shape)
                cell.flags[part] = rng.integers(0, 2, shape)
                cell.prompted[part] = rng.random(shape) < 0.2
                cell.outdated[part] = rng.random(shape) < 0.3
            picture.draw(list(cells.values()), first, last)
            np.testing.assert_array_equal(picture.pixels, drawn(cells, width).pixels)


def test_maps_go_from_bright_to_dark():
    for name in COLOUR_MAPS:
        colours = confidence_colours(name).astype(float)
        brightness = colours @ (0.2126, 0.7152, 0.0722)
        assert brightness[0] > 1.7 * brightness[-1]
        assert (np.diff(brightness) < 1.5).all(), name
    with pytest.raises(ValueError, match="choose one of orange-blue"):
        confidence_colours("jet")


@pytest.fixture
def strip(qtbot):
    made = HeatStrip()
    made.resize(GUTTER + 400, 4 * ROW)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    made.gone = []
    made.chosen.connect(lambda frame, object_id: made.gone.append((frame, object_id)))
    return made


def press(strip, x, y):
    where = QPoint(GUTTER + x, y)
    QTest.mouseClick(strip.viewport(), Qt.MouseButton.LeftButton, pos=where)


def test_a_click_goes_to_the_frame_and_the_cell(strip):
    strip.use(some_cells(100, 2, 7), 2, 0)
    press(strip, 200, MIDDLE)
    press(strip, 201, ROW + MIDDLE)
    press(strip, -30, ROW + MIDDLE)  # on its name
    assert strip.gone == [(50, 2), (50, 7), (0, 7)]


def test_a_drag_goes_along_in_one_cell(strip, qtbot):
    strip.use(some_cells(100, 2, 7), 2, 0)
    port, button = strip.viewport(), Qt.MouseButton.LeftButton
    QTest.mousePress(port, button, pos=QPoint(GUTTER + 40, MIDDLE))
    for x in (80, 120):  # the mouse strays into the next row
        QTest.mouseMove(port, QPoint(GUTTER + x, ROW + MIDDLE))
        qtbot.wait(20)
    QTest.mouseRelease(port, button, pos=QPoint(GUTTER + 120, ROW + MIDDLE))
    assert strip.gone[0] == (10, 2)
    assert strip.gone[-1] == (30, 2)


def test_keys_go_to_frames_and_cells(strip):
    strip.use(some_cells(100, 2, 7), 2, 50)
    keys = ("Left", "Right", "PageUp", "PageDown", "Home", "End", "Up", "Down")
    for name in keys:
        QTest.keyClick(strip, getattr(Qt.Key, f"Key_{name}"))
    assert strip.gone == [
        *((49, 2), (51, 2), (40, 2), (60, 2), (0, 2), (99, 2), (50, 2), (50, 7))
    ]


def test_the_wheel_scrolls_and_the_current_cell_is_in_sight(strip, qtbot):
    strip.use(some_cells(10, *range(1, 51)), 1, 0)
    assert strip.verticalScrollBar().maximum() == 46
    down, none = QPoint(0, -120), QPoint()
    at = QPointF(GUTTER + 9, 9)
    wheel = QWheelEvent(
        at,
        strip.viewport().mapToGlobal(at),
        none,
        down,
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(strip.viewport(), wheel)
    first = strip.verticalScrollBar().value()
    assert first > 0
    press(strip, 0, MIDDLE)
    assert strip.gone == [(0, first + 1)]
    strip.changed(40)
    press(strip, 0, 3 * ROW + MIDDLE)
    assert strip.gone[-1] == (0, 40)


def test_words_under_the_mouse(strip, qtbot):
    cells = some_cells(4000, 3, confidence=0.9)
    cells[3].confidence[2011], cells[3].flags[2011] = 0.42, 1
    cells[3].outdated[2011] = True
    strip.use(cells, 3, 0)
    strip.viewport().repaint()
    at = QPoint(GUTTER + 201, MIDDLE)
    assert strip.words_at(at) == "cell 3, frame 2011: 0.42, jumps, to be done again"
    cells[3].name = "mother"
    assert strip.words_at(at).startswith("mother, frame 2011")
    assert strip.words_at(QPoint(3, MIDDLE)) == "mother"
    assert "Click" in strip.words_at(QPoint(3, 3 * ROW))


def test_what_comes_while_following_is_drawn_ten_times_a_second(strip, qtbot):
    cells = some_cells(1000, 1, confidence=np.nan)
    strip.use(cells, 1, 0)
    qtbot.wait(150)
    paints = []
    real = strip._prepare
    strip._prepare = lambda: (paints.append(strip._dirty), real())
    began = time.perf_counter()
    for t in range(200):
        cells[1].confidence[t] = 0.2
        strip.frames_done(t, t)
        qtbot.wait(2)
    seconds = time.perf_counter() - began
    qtbot.wait(250)
    assert 2 <= len(paints) <= 10 * seconds + 3
    picture = strip.viewport().grab().toImage()
    scale = picture.width() / strip.viewport().width()
    for frame, confidence in ((30, 0.2), (198, 0.2)):
        x = GUTTER + frame * (strip.viewport().width() - GUTTER) / 1000
        seen = picture.pixelColor(int(scale * x), round(scale * MIDDLE))
        assert (seen.red(), seen.green(), seen.blue()) == colour(confidence)


def test_fifty_cells_in_ten_thousand_frames_are_quick(strip, qtbot):
    strip.resize(1300, 50 * ROW)
    rng = np.random.default_rng(0)
    cells = some_cells(10_000, *range(1, 51))
    for cell in cells.values():
        cell.confidence[:] = rng.random(10_000)
        cell.flags[:] = rng.random(10_000) < 0.01
        cell.outdated[4000:6000] = True
    strip.use(cells, 1, 0)
    strip.viewport().repaint()

    def seconds(change):
        found = []
        for k in range(7):
            qtbot.wait(120)
            change(k)
            began = time.perf_counter()
            QApplication.processEvents()
            found.append(time.perf_counter() - began)
        return min(found)

    took = {
        "frames arrive": seconds(lambda k: strip.frames_done(900 + 9 * k, 905 + 9 * k)),
        "the slider moves": seconds(lambda k: strip.show_frame(50 * k + 7)),
    }
    assert all(t < FRAME_SECONDS for t in took.values()), took
