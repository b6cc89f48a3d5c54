import pytest

from napari_sam2.stacks.metadata import (
    imagej_info,
    ngff_axes,
    ngff_info,
    ome_xml_info,
    unit_name,
)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("µm", "micrometer"),
        ("μm", "micrometer"),  # the Greek letter
        ("\\u00B5m", "micrometer"),  # as ImageJ escapes it
        ("Micron", "micrometer"),
        ("nm", "nanometer"),
        ("sec", "second"),
        ("furlong", None),
        ("pixel", None),
        ("", None),
        (None, None),
    ],
)
def test_units_by_pints_names(written, name):
    assert unit_name(written) == name


def pixels(attributes):
    return f'<OME xmlns="a"><Image><Pixels {attributes}/></Image></OME>'


def test_ome_xml_keeps_only_usable_steps():
    xml = pixels('PhysicalSizeX="0.2" PhysicalSizeY="0" PhysicalSizeZ="NaN"')
    assert ome_xml_info(xml) == ({"X": 0.2}, {"X": "micrometer"})
    xml = pixels('PhysicalSizeX="2" PhysicalSizeXUnit="pixel" TimeIncrement="x"')
    assert ome_xml_info(xml) == ({}, {})
    assert ome_xml_info("<not closed") == ({}, {})
    assert ome_xml_info("<OME/>") == ({}, {})


def test_imagej_steps_need_a_unit():
    assert imagej_info({"unit": "um", "spacing": 3}, (2, 0)) == (
        {"X": 0.5, "Z": 3.0},
        {"X": "micrometer", "Z": "micrometer"},
    )
    assert imagej_info({"spacing": 3}, (2, 2)) == ({}, {})


def test_ngff_axes_of_every_version():
    assert ngff_axes({"version": "0.1"}) == "TCZYX"
    assert ngff_axes({"version": "0.3", "axes": ["z", "y", "x"]}) == "ZYX"
    axes = [{"name": "frame", "type": "time"}, {"name": "y"}, {"name": "x"}]
    assert ngff_axes({"version": "0.5", "axes": axes}) == "TYX"
    assert ngff_axes({"version": "0.4"}) is None


def test_ngff_transformations_multiply():
    multiscale = {
        "axes": [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"],
        "datasets": [
            {
                "coordinateTransformations": [
                    {"type": "scale", "scale": [0.5, 0.25]},
                    {"type": "translation", "translation": [3, 4]},
                ]
            }
        ],
        "coordinateTransformations": [{"type": "scale", "scale": [2, 2]}],
    }
    scale, units = ngff_info(multiscale, "YX")
    assert scale == {"Y": 1.0, "X": 0.5}
    assert units == {"Y": "micrometer", "X": "micrometer"}
