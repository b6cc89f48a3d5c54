"""Scribbles and outlines, drawn with a real mouse or put into the layer."""

from __future__ import annotations

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt

from napari_sam2.stacks.drawn import ellipse_mask, polygon_mask
from napari_sam2.widgets import messages

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def line(start, end, steps=8):
    return [tuple(p) for p in np.linspace(start, end, steps)]


def ring(y, x, radius, steps=24):
    angles = np.linspace(0, 2 * np.pi, steps)
    return [(y + radius * np.sin(a), x + radius * np.cos(a)) for a in angles]


def test_a_scribble_is_drawn_with_the_mouse(bench, mouse):
    bench.widget.panel.scribble_tool.click()
    assert bench.status == messages.SCRIBBLE
    mouse.drag(line((10, 10), (10, 40)))
    (scribble,) = bench.place.sent[1, 0].scribbles
    path = np.array(scribble.path)
    assert scribble.label == 1
    np.testing.assert_allclose(path[[0, -1]], [(10, 10), (10, 40)], atol=0.5)
    assert all(bench.labels[0, 10, x] == 1 for x in range(10, 40))
    assert bench.widget.panel.console.text().startswith("session.add_scribble(1, 0, [")
    mouse.drag(line((10, 20), (10, 30)), CONTROL)
    assert [s.label for s in bench.place.sent[1, 0].scribbles] == [1, 0]
    assert bench.labels[0, 10, 12] == 1
    assert bench.labels[0, 10, 25] == 0
    colours = bench.place.prompts.shapes.edge_color
    assert colours[0].tolist() != [1, 1, 1, 1]
    assert colours[1].tolist() == [1, 1, 1, 1]
    mouse.drag(line((40, 10), (40, 40)), SHIFT)
    assert bench.place.object_id == 2
    assert bench.labels[0, 40, 25] == 2
    bench.widget.undo()
    bench.settle()
    assert not (bench.labels == 2).any()
    bench.widget.undo()
    bench.settle()
    assert bench.labels[0, 10, 25] == 1
    assert len(bench.place.prompts.shapes.data) == 1
    assert bench.place.prompts.shapes.shape_type == ["path"]


def test_an_outline_is_drawn_with_the_mouse(bench, mouse):
    bench.widget.panel.outline_tool.click()
    assert bench.status == messages.OUTLINE
    mouse.drag(ring(24, 30, 12))
    (outline,) = bench.place.sent[1, 0].outlines
    assert outline.kind == "polygon"
    wanted = polygon_mask(outline.vertices, (48, 64))
    np.testing.assert_array_equal(bench.labels[0] == 1, wanted)
    disk = np.hypot(*(np.indices((48, 64)) - np.array([24, 30])[:, None, None])) < 12
    assert (disk & wanted).sum() > 0.9 * disk.sum()
    assert bench.widget.panel.objects.object_ids == [1]
    assert bench.place.cells[1].prompts == 1
    bench.widget.follow("forward")
    bench.settle()
    assert bench.labels[11].any()


def test_the_sign_button_holds_for_all_that_is_drawn_but_boxes(bench, mouse):
    bench.widget.panel.sign.setChecked(True)
    bench.widget.panel.scribble_tool.click()
    mouse.drag(line((10, 10), (10, 40)))
    assert bench.place.sent[1, 0].scribbles[0].label == 0
    bench.widget.panel.box_tool.click()
    mouse.drag([(20, 20), (30, 30), (40, 40)])
    assert bench.labels[0, 30, 30] == 1
    bench.widget.panel.sign.setChecked(False)
    bench.widget.panel.outline_tool.click()
    mouse.drag(ring(24, 30, 12))
    bench.widget.panel.sign.setChecked(True)
    mouse.drag(ring(24, 30, 5))
    assert bench.labels[0, 24, 30] == 0
    assert bench.labels[0, 24, 22] == 1
    assert list(bench.place.prompts.shapes.features["sign"]) == [0, 1, 1, 0]


def shapes_of(bench):
    bench.widget.panel.outline_tool.click()
    return bench.place.prompts.shapes


def nd(pairs, frame=0):
    return np.array([(frame, *pair) for pair in pairs], float)


SQUARE = [(9.5, 9.5), (9.5, 29.5), (29.5, 29.5), (29.5, 9.5)]


def test_moving_a_vertex_deleting_and_taking_back(bench):
    shapes = shapes_of(bench)
    shapes.add(nd(SQUARE), shape_type="polygon")
    bench.settle()
    first = bench.labels[0].copy()
    np.testing.assert_array_equal(first == 1, polygon_mask(SQUARE, first.shape))
    moved = [*SQUARE[:2], (40, 50), SQUARE[3]]
    shapes.data = [nd(moved)]
    bench.settle()
    np.testing.assert_array_equal(
        bench.labels[0] == 1, polygon_mask(moved, first.shape)
    )
    bench.widget.undo()
    bench.settle()
    np.testing.assert_array_equal(bench.labels[0], first)
    np.testing.assert_allclose(shapes.data[0], nd(SQUARE))
    shapes.selected_data = {0}
    shapes.remove_selected()
    bench.settle()
    assert not bench.labels.any()
    bench.widget.undo()
    bench.settle()
    np.testing.assert_array_equal(bench.labels[0], first)
    assert shapes.shape_type == ["polygon"]


def test_an_ellipse_and_a_line_from_naparis_own_tools(bench):
    shapes = shapes_of(bench)
    shapes.mode = "add_ellipse"
    assert bench.widget.panel.outline_tool.isChecked()
    shapes.add(nd(SQUARE), shape_type="ellipse")
    bench.settle()
    wanted = ellipse_mask(SQUARE, bench.labels[0].shape)
    np.testing.assert_array_equal(bench.labels[0] == 1, wanted)
    assert bench.widget.panel.console.text() == (
        "session.add_ellipse(1, 0, [(9.5, 9.5), (9.5, 29.5), (29.5, 29.5), "
        "(29.5, 9.5)])"
    )
    shapes.mode = "add_line"
    assert bench.widget.panel.scribble_tool.isChecked()
    shapes.add(nd([(40, 40), (40, 55)], 3), shape_type="line")
    bench.settle()
    assert bench.labels[3, 40, 50] == 1
    shapes.mode = "select"
    assert not bench.widget.panel.scribble_tool.isChecked()
    bench.widget.undo()
    bench.settle()
    assert shapes.shape_type == ["ellipse"]


SMALL = [(9.5, 39.5), (9.5, 49.5), (19.5, 49.5), (19.5, 39.5)]


def test_outlines_of_a_cell_are_its_pieces_and_clicks_refine_them(bench):
    shapes = shapes_of(bench)
    shapes.add(nd(SQUARE), shape_type="polygon")
    bench.settle()
    shapes.add(nd(SMALL), shape_type="ellipse")
    bench.settle()
    size = bench.labels[0].shape
    wanted = polygon_mask(SQUARE, size) | ellipse_mask(SMALL, size)
    np.testing.assert_array_equal(bench.labels[0] == 1, wanted)
    assert bench.widget.panel.console.text() == (
        'session.add_outlines(1, 0, [("polygon", [(9.5, 9.5), (9.5, 29.5), '
        '(29.5, 29.5), (29.5, 9.5)], 1), ("ellipse", [(9.5, 39.5), (9.5, 49.5), '
        "(19.5, 49.5), (19.5, 39.5)], 1)])"
    )
    bench.click(0, 35, 45)
    assert bench.labels[0, 12, 45] == bench.labels[0, 35, 45] == 1
    bench.widget.undo()
    bench.settle()
    bench.widget.undo()
    bench.settle()
    np.testing.assert_array_equal(bench.labels[0] == 1, polygon_mask(SQUARE, size))
    assert shapes.shape_type == ["polygon"]


def test_an_outline_with_ctrl_takes_away_from_those_before(bench, mouse):
    bench.widget.panel.outline_tool.click()
    mouse.drag(ring(24, 30, 14))
    mouse.drag(ring(24, 30, 6), CONTROL)
    assert [o.label for o in bench.place.sent[1, 0].outlines] == [1, 0]
    assert bench.labels[0, 24, 30] == 0
    assert bench.labels[0, 24, 20] == 1
    colours = bench.place.prompts.shapes.edge_color
    assert colours[1].tolist() == [1, 1, 1, 1]
    mouse.drag(ring(24, 30, 2))  # and what comes later counts later
    assert bench.labels[0, 24, 30] == 1
    shapes = bench.place.prompts.shapes
    shapes.selected_data = {0}
    shapes.remove_selected()
    bench.settle()
    mouse.wait()
    assert len(shapes.data) == len(shapes.features) == 1  # the island stays
    assert bench.labels[0, 24, 20] == 0
    assert bench.labels[0, 24, 30] == 1


def test_an_outline_takes_away_from_what_was_found(bench, mouse, viewer):
    bench.click(0, 24, 30)
    bench.widget.follow("forward")
    bench.settle()
    viewer.dims.set_point(0, 3)
    before = bench.labels[3].copy()
    assert before[24, 33] == 1
    bench.widget.panel.outline_tool.click()
    mouse.drag(ring(24, 36, 3), CONTROL)
    mouse.wait()
    assert bench.status == f"{messages.CUT} Press <b>Forward ▶</b> to follow."
    assert bench.labels[3, 24, 36] == 0
    assert bench.labels[3, 24, 31] == 1
    assert (1, 3) in bench.place.masks
    assert len(bench.place.prompts.shapes.data) == 0
    assert bench.widget.panel.console.text().startswith("session.add_mask(1, 3, ")
    bench.widget.undo()
    bench.settle()
    np.testing.assert_array_equal(bench.labels[3], before)
    assert not bench.place.masks


def test_there_must_be_something_to_take_away(bench, mouse):
    bench.widget.panel.outline_tool.click()
    notification_manager.records.clear()
    mouse.drag(ring(24, 36, 8), CONTROL)
    mouse.wait()
    assert bench.status == messages.NOTHING_TO_CUT
    assert len(notification_manager.records) == 1
    shapes = bench.place.prompts.shapes
    assert (len(shapes.data), len(shapes.features)) == (0, 0)
    assert bench.place.untouched


def test_another_box_takes_the_place_of_the_one_before(bench, mouse):
    bench.widget.panel.box_tool.click()
    mouse.drag([(5, 5), (10, 10), (20, 20)])
    mouse.drag([(25, 25), (30, 30), (40, 45)])
    shapes = bench.place.prompts.shapes
    assert (len(shapes.data), len(shapes.features)) == (1, 1)
    assert bench.labels[0, 10, 10] == 0
    assert bench.labels[0, 30, 30] == 1
    bench.widget.undo()
    bench.settle()
    assert bench.labels[0, 10, 10] == 1
    assert len(shapes.data) == 1


def test_painting_replaces_an_outline(bench):
    shapes = shapes_of(bench)
    shapes.add(nd(SQUARE), shape_type="polygon")
    bench.settle()
    bench.widget.panel.paint_tool.click()
    bench.place.result.layer.brush_size = 3
    bench.place.result.layer.paint((0, 40, 50), 1)
    bench.settle()
    assert len(shapes.data) == 0
    assert (1, 0) in bench.place.masks
    assert bench.place.sent == {}
    assert bench.place.cells[1].prompts == 1
    bench.widget.undo()
    bench.settle()
    assert shapes.shape_type == ["polygon"]


@pytest.mark.parametrize(
    ("kind", "pairs", "said"),
    [
        ("polygon", [(90, 90), (90, 99), (99, 90)], messages.BAD_OUTLINE),
        ("polygon", [(5, 5), (9, 9), (20, 20)], messages.BAD_OUTLINE),
        ("ellipse", [(5, 5), (5, 5), (5, 9), (5, 9)], messages.BAD_OUTLINE),
        ("ellipse", [(-9, -9), (-9, -5), (-5, -5), (-5, -9)], messages.BAD_OUTLINE),
        ("path", [(-9, 5), (-5, 9), (-5, 30)], messages.BAD_SCRIBBLE),
        ("line", [(60, 5), (70, 9)], messages.BAD_SCRIBBLE),
    ],
)
def test_what_holds_nothing_is_refused_and_nothing_is_lost(bench, kind, pairs, said):
    shapes = shapes_of(bench)
    shapes.add(nd(SQUARE), shape_type="polygon")
    bench.click(0, 40, 50)
    before = bench.labels.copy()
    notification_manager.records.clear()
    shapes.add(nd(pairs), shape_type=kind)
    bench.settle()
    bench.qtbot.waitUntil(lambda: len(shapes.data) == 1, timeout=2000)
    assert [note.message for note in notification_manager.records] == [said]
    np.testing.assert_array_equal(bench.labels, before)
    assert len(shapes.features) == 1
    assert len(bench.place.sent) == 1


def test_what_comes_to_nothing_leaves_nothing(bench, mouse):
    bench.widget.panel.scribble_tool.click()
    mouse.drag([(20, 20)])  # a click begins a line,
    mouse.drag([(20, 20)])  # and another ends it
    shapes = bench.place.prompts.shapes
    assert (len(shapes.data), len(shapes.features)) == (0, 0)
    bench.widget.new_object()
    bench.place.object_id = 4
    mouse.drag(line((10, 10), (10, 40)))
    assert list(bench.place.sent) == [(4, 0)]


def test_a_drawing_that_is_left_in_the_middle_is_none(bench, mouse):
    bench.widget.panel.outline_tool.click()
    shapes = bench.place.prompts.shapes
    mouse.drag(ring(24, 30, 12))
    for leave in (bench.widget.panel.click_tool.click, bench.widget.undo):
        bench.widget.panel.outline_tool.click()
        mouse.drag([(40, 40)])  # begins; the line follows the mouse
        for position in line((40, 40), (40, 60)):
            mouse.move(position)
        assert len(shapes.data) == 2
        leave()
        bench.settle()
        mouse.wait()
        assert len(shapes.data) == len(shapes.features) == len(bench.place.sent)
    assert len(shapes.data) == 0  # the outline before was taken back
    assert shapes.mode == "add_polygon_lasso"
    mouse.drag(ring(24, 30, 12))
    assert list(bench.place.sent) == [(1, 0)]
    assert bench.labels[0, 24, 30] == 1


def test_hidden_cells_hide_their_drawings(bench):
    shapes = shapes_of(bench)
    shapes.add(nd(SQUARE), shape_type="polygon")
    bench.settle()
    bench.place.prompts.hide({1})
    assert shapes.edge_color[0, 3] == 0
    bench.place.prompts.hide(set())
    assert shapes.edge_color[0, 3] == 1


PLACES = {
    "scaled": {"scale": (2.0, 0.5, 0.25), "translate": (10.0, -3.0, 7.0)},
    "rotated": {"rotate": 30, "scale": (1, 2, 2)},
    "axes swapped": {"affine": np.eye(4)[[0, 2, 1, 3]]},
}


@pytest.mark.parametrize("place", PLACES)
def test_drawings_lie_on_their_pixels(viewer, movie, open_bench, place):
    image = viewer.add_image(movie, name="movie", **PLACES[place])
    bench = open_bench()
    viewer.dims.set_point(0, image.data_to_world((3, 0, 0))[0])
    shapes = shapes_of(bench)
    world = [image.data_to_world(vertex) for vertex in nd(SQUARE, 3)]
    shapes.add(np.array([shapes.world_to_data(v) for v in world]), shape_type="polygon")
    bench.settle()
    wanted = polygon_mask(SQUARE, movie.shape[1:])
    np.testing.assert_array_equal(bench.labels[3] == 1, wanted)
    # The layer may be moved by itself: what counts is where it lies in the world.
    shapes.scale, shapes.translate = (1, 1, 1), (0, 0, 0)
    shapes.rotate, shapes.affine = 0, np.eye(4)
    shapes.data = [np.array(world)]
    bench.settle()
    np.testing.assert_array_equal(bench.labels[3] == 1, wanted)
    shapes.add(
        np.array([image.data_to_world(v) for v in nd([(40, 5), (40, 50)], 3)]),
        shape_type="path",
    )
    bench.settle()
    path = bench.place.sent[1, 3].scribbles[0].path
    np.testing.assert_allclose(path, [(40, 5), (40, 50)], atol=1e-4)


def test_a_scribble_on_a_scaled_movie_with_the_mouse(
    viewer, movie, open_bench, mouse_over
):
    image = viewer.add_image(movie.transpose(0, 2, 1), name="m", **PLACES["scaled"])
    bench = open_bench()
    viewer.dims.set_point(0, image.data_to_world((5, 0, 0))[0])
    mouse = mouse_over(bench)
    bench.widget.panel.scribble_tool.click()
    world = [image.data_to_world((5, *pair))[1:] for pair in line((10, 8), (50, 40))]
    mouse.drag(world)
    path = np.array(bench.place.sent[1, 5].scribbles[0].path)
    np.testing.assert_allclose(path[[0, -1]], [(10, 8), (50, 40)], atol=1)
    assert bench.labels[5, 30, 24] == 1
