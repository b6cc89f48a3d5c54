"""Colours of several layers, resolutions, and the contrast that the model sees."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr

from napari_sam2.widgets import messages
from napari_sam2.widgets.engine_parts import open_target
from napari_sam2.widgets.picture import Picture
from napari_sam2.widgets.result_layer import LEVEL

SCALE, TRANSLATE = (2.0, 0.5, 0.25), (10.0, -3.0, 7.0)


def add_channels(viewer, movie, **options):
    options = {"scale": SCALE, "translate": TRANSLATE, **options}
    for name, top in (("a", 4000), ("b", 3000), ("c", 2000)):
        viewer.add_image(movie, name=name, contrast_limits=(0, top), **options)


def choose(combo, text):
    """Choose as a user does."""
    combo.setCurrentIndex(combo.findText(text))
    combo.activated.emit(combo.currentIndex())


def test_three_layers_are_one_picture(viewer, movie, open_bench):
    add_channels(viewer, movie)
    bench = open_bench()
    further = bench.widget.panel.further
    assert further.colour.currentText() == "the layer alone"
    assert not further.colours_shown
    choose(further.colour, "several layers: red, green, blue")
    bench.settle()
    assert further.colours_shown
    shown = [c.currentText() for c in (further.red, further.green, further.blue)]
    assert shown == ["a", "b", "c"]
    target = bench.engine.requests[-1].target
    assert target.limits == ((0, 4000), (0, 3000), (0, 2000))
    with open_target(target) as stack:
        seen = stack.read(3)
    for channel, top in enumerate((4000, 3000, 2000)):
        assert np.allclose(seen[..., channel], np.clip(movie[3] / top, 0, 1), atol=1e-3)
    bench.click(3, 20, 30)
    assert bench.labels[3, 20, 30] == 1
    assert np.allclose(bench.place.result.layer.translate, TRANSLATE)
    names = [layer.name for layer in viewer.layers]
    assert names == ["a", "b", "c", "a objects", "a clicks"]


def test_the_script_opens_the_colours(viewer, movie, open_bench):
    add_channels(viewer, movie)
    bench = open_bench()
    choose(bench.widget.panel.further.colour, "several layers: red, green, blue")
    choose(bench.widget.panel.further.blue, "–")
    bench.settle()
    line = bench.widget.panel.console.text()
    names = {}
    exec(
        f"from napari_sam2 import Stack\n{line}",
        {"viewer": viewer},
        names,
    )
    assert names["stack"].n_channels == 2
    assert names["stack"].contrast_limits == ((0, 4000), (0, 3000))


def test_green_is_changed_and_taken_away(viewer, movie, open_bench):
    add_channels(viewer, movie)
    bench = open_bench()
    further = bench.widget.panel.further
    choose(further.colour, "several layers: red, green, blue")
    choose(further.green, "–")  # blue moves up
    assert [o.name for o in bench.place.picture.others] == ["c"]
    assert (further.green.currentText(), further.blue.currentText()) == ("c", "–")
    choose(further.red, "b")
    bench.settle()
    assert bench.place.image.name == "b"
    assert [o.name for o in bench.place.picture.others] == ["c"]
    bench.click(3, 20, 30)
    viewer.layers.remove("c")
    bench.settle()
    assert bench.place.picture.others == ()
    assert messages.COLOUR_GONE in bench.status
    choose(further.colour, "the layer alone")
    assert not further.colours_shown


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"translate": (0, 0, 0)}, "'b' lies elsewhere than 'a'"),
        ({"scale": (2, 0.5, 0.5)}, "'b' lies elsewhere than 'a'"),
        ({"shape": (12, 48, 60)}, "'a' is 12×48×64 and 'b' 12×48×60"),
    ],
)
def test_layers_that_do_not_go_together(viewer, movie, open_bench, options, says):
    data = movie[:, :, : options.pop("shape", movie.shape)[-1]]
    viewer.add_image(movie, name="a", scale=SCALE, translate=TRANSLATE)
    placed = {"scale": SCALE, "translate": TRANSLATE, **options}
    viewer.add_image(data, name="b", **placed)
    viewer.layers.selection.active = viewer.layers["a"]
    bench = open_bench()
    further = bench.widget.panel.further
    choose(further.colour, "several layers: red, green, blue")
    assert further.colours_shown
    assert bench.place.picture.others == ()
    choose(further.green, "b")
    assert says in bench.status
    assert bench.place.picture.others == ()
    assert further.green.currentText() == "–"


@pytest.mark.parametrize("wrap", [np.asarray, da.from_array, zarr.array])
def test_channels_of_an_axis_become_layers(viewer, movie, open_bench, wrap):
    both = wrap(np.stack((movie, movie // 2), axis=1))  # (T, C, Y, X)
    viewer.add_image(
        both,
        name="both",
        scale=(2, 1, 0.5, 0.25),
        translate=(10, 5, -3, 7),
        axis_labels=("t", "c", "y", "x"),
    )
    bench = open_bench()
    further = bench.widget.panel.further
    choose(further.colour, "channels of the channel axis (2)")
    bench.settle()
    layers = [viewer.layers[f"both [{number}]"] for number in (0, 1)]
    assert not viewer.layers["both"].visible
    assert bench.place.image == layers[0]
    assert bench.place.picture.others == (layers[1],)
    assert [layer.colormap.name for layer in layers] == ["red", "green"]
    assert np.allclose(layers[0].scale, SCALE)
    assert np.allclose(layers[0].translate, TRANSLATE)
    assert layers[0].axis_labels == ("t", "y", "x")
    assert np.array_equal(np.asarray(layers[1].data[4]), movie[4] // 2)
    bench.click(4, 20, 30)
    assert bench.labels.shape == movie.shape
    assert bench.labels[4, 20, 30] == 1


def test_channels_of_a_turned_layer_lie_where_it_lay(viewer, open_bench):
    data = np.zeros((2, 3, 16, 20), np.uint8)
    affine = np.eye(5)
    affine[2:4, 2:4] = [[0.8, -0.6], [0.6, 0.8]]
    layer = viewer.add_image(
        data, name="turned", affine=affine, scale=(3, 1, 0.5, 0.5), rgb=False
    )
    bench = open_bench()
    choose(bench.widget.panel.further.colour, "channels of the second axis (3)")
    bench.settle()
    for corner in ([1, 0, 7, 9], [0, 0, 15, 0]):
        world = np.delete(layer.data_to_world(corner), 1)
        inside = np.delete(corner, 1)
        assert np.allclose(viewer.layers["turned [2]"].data_to_world(inside), world)


def test_colour_pictures_have_their_own(viewer, open_bench):
    viewer.add_image(np.zeros((5, 32, 40, 3), np.uint8), name="rgb")
    bench = open_bench()
    colour = bench.widget.panel.further.colour
    assert (colour.currentText(), colour.isEnabled()) == ("its own colours", False)
    bench.click(2, 10, 12)
    assert bench.labels[2, 10, 12] == 1


@pytest.fixture
def pyramid(viewer, movie):
    """A movie of two resolutions, scaled and moved."""
    levels = [movie, movie[:, ::2, ::2]]
    return viewer.add_image(
        levels, name="pyramid", multiscale=True, scale=SCALE, translate=TRANSLATE
    )


def test_the_finest_level_is_used_unless_another_is_chosen(
    pyramid, viewer, movie, open_bench
):
    bench = open_bench()
    panel = bench.widget.panel
    assert panel.image_form.isRowVisible(panel.level)
    assert panel.level.currentText() == "0: 48 × 64 pixels, the finest"
    assert bench.engine.requests[-1].target.data is pyramid.data[0]
    result = bench.place.result.layer
    assert (result.name, result.metadata[LEVEL]) == ("pyramid objects", 0)
    panel.level.setCurrentIndex(1)
    bench.settle()
    target = bench.engine.requests[-1].target
    assert target.data is pyramid.data[1]
    assert "viewer.layers['pyramid'].data[1]" in panel.console.text()
    result = bench.place.result.layer
    assert (result.name, result.metadata[LEVEL]) == ("pyramid objects, level 1", 1)
    assert bench.labels.shape == (12, 24, 32)
    bench.click(3, 10, 12)
    assert bench.labels[3, 10, 12] == 1


def test_labels_of_a_coarse_level_cover_the_image(pyramid, open_bench, viewer):
    bench = open_bench()
    bench.widget.panel.level.setCurrentIndex(1)
    bench.settle()
    labels, points = bench.place.result.layer, bench.place.prompts.points
    for layer in (labels, points):
        assert np.allclose(layer.scale, np.multiply(SCALE, (1, 2, 2)))
    # The edges of the corner pixels are those of the image.
    for ours, theirs in (
        ((0, -0.5, -0.5), (0, -0.5, -0.5)),
        ((11, 23.5, 31.5), (11, 47.5, 63.5)),
    ):
        assert np.allclose(labels.data_to_world(ours), pyramid.data_to_world(theirs))
    # A click on a pixel of the image hits the coarse pixel that covers it.
    points.add(points.world_to_data(pyramid.data_to_world((3, 21, 40))))
    bench.settle()
    assert bench.labels[3, 10, 20] == 1
    viewer.dims.set_point(0, 5 * SCALE[0] + TRANSLATE[0])
    assert bench.place.here == 5


def test_layers_of_one_resolution_offer_none(bench):
    panel = bench.widget.panel
    assert not panel.image_form.isRowVisible(panel.level)
    assert bench.place.result.layer.metadata == {}


def test_a_level_of_a_turned_layer_lies_on_it(viewer):
    levels = [np.zeros((40, 60)), np.zeros((20, 30))]
    layer = viewer.add_image(
        levels, multiscale=True, rotate=30, shear=[0.2], scale=(2, 3), translate=(4, 5)
    )
    picture = Picture(layer, 1)
    labels = viewer.add_labels(np.zeros((20, 30), int), **picture.placement())
    for at in ((0, 0), (7, 3), (19, 29)):
        assert np.allclose(labels.data_to_world(at), picture.data_to_world(at))
        assert np.allclose(picture.world_to_data(picture.data_to_world(at)), at)


def change_contrast(bench, layer, limits):
    layer.contrast_limits = limits
    bench.qtbot.waitUntil(lambda: not bench.widget.contrast.waiting, timeout=3000)
    bench.settle()


def test_before_the_first_click_the_contrast_is_the_one_on_the_screen(bench, viewer):
    change_contrast(bench, viewer.layers["movie"], (100, 900))
    assert bench.engine.requests[-1].target.contrast_limits == (100, 900)
    assert bench.widget.panel.new_contrast.isHidden()


def test_work_goes_on_in_the_contrast_it_was_begun_in(bench, viewer):
    image = viewer.layers["movie"]
    begun = tuple(image.contrast_limits)
    bench.click(0, 20, 20)
    change_contrast(bench, image, (100, 900))
    assert bench.status == messages.OTHER_CONTRAST
    assert not bench.widget.panel.new_contrast.isHidden()
    bench.click(0, 25, 20)
    bench.widget.follow("forward")
    bench.settle()
    limits = {request.target.contrast_limits for request in bench.engine.requests}
    assert limits == {begun}
    bench.widget.panel.new_contrast.click()
    bench.settle()
    assert bench.engine.requests[-1].target.contrast_limits == (100, 900)
    assert bench.widget.panel.new_contrast.isHidden()
    assert bench.status == messages.NEW_CONTRAST
    assert bench.labels[0, 20, 20] == 1


def test_contrast_that_comes_back_is_no_change(bench, viewer):
    image = viewer.layers["movie"]
    begun = tuple(image.contrast_limits)
    bench.click(0, 20, 20)
    change_contrast(bench, image, (100, 900))
    change_contrast(bench, image, begun)
    assert bench.widget.panel.new_contrast.isHidden()
