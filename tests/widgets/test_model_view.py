"""The picture that goes into the network, laid over the image."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.widgets.model_view import NAME

SCALE, TRANSLATE = (2.0, 0.5, 0.25), (10.0, -3.0, 7.0)


@pytest.fixture
def scaled(viewer, movie, open_bench):
    viewer.add_image(movie, name="movie", scale=SCALE, translate=TRANSLATE)
    viewer.dims.set_point(0, TRANSLATE[0])
    return open_bench()


def test_the_picture_lies_on_its_part_of_its_frame(scaled, viewer):
    box = scaled.widget.panel.further.seen
    box.click()
    scaled.settle()
    image, layer = viewer.layers["movie"], viewer.layers[NAME]
    assert layer.data.shape == (1, 32, 48, 3)
    for ours, theirs in (
        ((0, -0.5, -0.5), (0, 9.5, 19.5)),
        ((0, 31.5, 47.5), (0, 25.5, 43.5)),
    ):
        assert np.allclose(layer.data_to_world(ours), image.data_to_world(theirs))
    names = [found.name for found in viewer.layers]
    assert names.index(NAME) == names.index("movie") + 1
    assert "32 × 32 pixels</b>, made of the 16 × 24 around it" in scaled.status
    box.click()
    assert NAME not in viewer.layers


def test_it_follows_the_slider_and_the_cell(scaled, viewer, movie):
    scaled.widget.panel.further.seen.click()
    scaled.settle()
    viewer.dims.set_point(0, 5 * SCALE[0] + TRANSLATE[0])
    scaled.settle()
    layer = viewer.layers[NAME]
    assert layer.data_to_world((0, 0, 0))[0] == 5 * SCALE[0] + TRANSLATE[0]
    assert np.allclose(layer.data[0, ::2, ::2, 0], movie[5, 10:26, 20:44] / 4000)
    scaled.widget.new_object()
    scaled.click(5, 20, 30)
    scaled.widget.new_object()
    scaled.settle()
    assert scaled.engine.looked_at[-1] == (5, 2)


def test_it_is_no_image_to_work_on(scaled, viewer):
    scaled.widget.panel.further.seen.click()
    scaled.settle()
    combo = scaled.widget.panel.image
    assert [combo.itemText(i) for i in range(combo.count())] == ["movie"]
    assert viewer.layers.selection.active == scaled.place.prompts.points


def test_removing_the_layer_unticks_the_box(scaled, viewer):
    box = scaled.widget.panel.further.seen
    box.click()
    scaled.settle()
    viewer.layers.remove(NAME)
    assert not box.isChecked()
    viewer.dims.set_point(0, 5 * SCALE[0] + TRANSLATE[0])
    scaled.settle()
    assert NAME not in viewer.layers


def test_it_goes_with_the_image_and_with_the_panel(scaled, viewer):
    scaled.widget.panel.further.seen.click()
    scaled.settle()
    viewer.add_image(np.zeros((5, 50, 60)), name="other")
    scaled.widget.panel.image.setCurrentText("other")
    assert NAME not in viewer.layers
    scaled.settle()
    assert viewer.layers[NAME].data.shape == (1, 32, 48, 3)
    scaled.widget.close_down()
    assert NAME not in viewer.layers
