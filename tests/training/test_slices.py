"""Stacks: blurred further along z than in the plane, each slice by its neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.training import shapes, textures
from napari_sam2.training.camera import draw_camera
from napari_sam2.training.scenes import draw_blobs
from napari_sam2.training.slices import Slices, draw_slices
from napari_sam2.training.synthetic import draw_clip


def stack(n_frames: int, axial: float, step: float = 0.2) -> Slices:
    """Return slices blurred by `axial` of them, with planes beyond both ends."""
    beyond = [n_frames - 1 + 1.2 * axial] if axial else []
    planes = [*(-1.2 * axial for _ in beyond), *range(n_frames), *beyond]
    return Slices(
        planes=np.array(planes, np.float32),
        n_frames=n_frames,
        step=step,
        axial=axial,
        flatness=2.0,
    )


def deviation(profile: np.ndarray) -> float:
    """Return the standard deviation of a distribution over equal steps."""
    # What the Fourier transform leaves beside a bead is not light.
    share = np.where(profile > 1e-3 * profile.max(), profile, 0)
    share = share / share.sum()
    at = np.arange(len(share))
    middle = (share * at).sum()
    return float(np.sqrt((share * (at - middle) ** 2).sum()))


def test_a_bead_is_longer_along_z_than_in_the_plane() -> None:
    measured = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        slices = draw_slices(rng, 31, sections=bool(seed % 2))
        radius = float(rng.uniform(10, 60))
        spacing = abs(slices.step) * radius
        wide = slices.axial * spacing / slices.flatness
        # What is narrower than a pixel or a slice, or wider than all, is not measured.
        if not 0.6 < slices.axial < 4 or not 1 < wide < 5:
            continue
        camera = draw_camera(rng, 64, 31, noisy=False)
        focus = slices.sharpen(camera, radius).focus
        bead = np.zeros((len(slices.planes), 65, 65), np.float32)
        bead[16, 32, 32] = 1
        seen = slices.blur([*bead])
        assert len(seen) == 31
        across = np.stack([textures.blur(seen[t], float(focus[t])) for t in range(31)])
        along = deviation(across.sum((1, 2)))
        assert along == pytest.approx(slices.axial, rel=0.1)
        in_plane = deviation(across[15].sum(0))
        # The blur in the plane is rounded to eighths of a pixel.
        assert in_plane <= wide + 0.1
        assert in_plane < along * spacing
        measured += 1
    assert measured > 10


def test_light_is_kept_and_ends_are_not_darker() -> None:
    for axial in (0.0, 0.5, 1.5, 6.0):
        slices = stack(8, axial)
        even = [np.full((4, 4, 3), 0.7, np.float32)] * len(slices.planes)
        for image in slices.blur(even):
            np.testing.assert_allclose(image, 0.7, rtol=1e-5)
        assert slices.shown(range(len(slices.planes))) == [
            k + bool(axial) for k in range(8)
        ]
    np.testing.assert_allclose(stack(8, 1.5).weights().sum(1), 1, rtol=1e-5)
    away = stack(8, 1.5).weights()[3, 1:-1]
    np.testing.assert_allclose(away[4] / away[3], np.exp(-0.5 / 1.5**2), rtol=1e-3)


def test_a_ball_shines_into_slices_that_do_not_cut_it() -> None:
    y, x = np.mgrid[:64, :64].astype(np.float32)
    one = np.ones(1, np.float32)
    planes = []
    for lift in np.arange(-1.6, 1.61, 0.2):
        ball = shapes.Blobs(
            number=np.ones(1, np.int32),
            centre=np.full((1, 2), 32, np.float32),
            angle=0 * one,
            axes=np.full((1, 2), 20, np.float32),
            bend=0 * one,
            lift=one * np.float32(lift),
            table=np.ones((1, shapes.ANGLES), np.float32),
        )
        cut = shapes.paint_blobs(ball, y, x, overlap=True, boxes=ball.centre)
        planes.append((cut.index > 0).astype(np.float32))
    n = len(planes)
    thick = stack(n, 1.0)
    seen = thick.blur([planes[0], *planes, planes[-1]])
    light = np.array([image[32, 32] for image in seen])
    cut = np.array([image[32, 32] > 0 for image in planes])
    assert 0.02 < light[~cut].max() < 0.5 < light[cut].min()
    assert light[0] < 0.02  # far away
    np.testing.assert_array_equal(stack(n, 0.0).blur(planes), planes)


def test_slices_that_mix_lie_on_each_other() -> None:
    rng = np.random.default_rng(0)
    slices = stack(6, 1.0)
    scene = draw_blobs(rng, "nuclei", 64, 8, slices=slices)
    assert not scene.motion.shift.any()
    loose = draw_blobs(rng, "nuclei", 64, 6, slices=stack(6, 0.0))
    assert loose.motion.shift.any()
    # The plane travels a fifth of a radius a slice.
    np.testing.assert_allclose(np.diff(loose.travel), 0.2 * loose.radius, rtol=1e-4)


def test_spacing_and_blur_vary() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_slices(rng, 8, sections=False) for _ in range(200)]
    steps = np.array([s.step for s in drawn])
    assert np.abs(steps).min() < 0.05 < 0.25 < np.abs(steps).max()
    assert (steps > 0).any()
    assert (steps < 0).any()
    blurred = np.array([s.axial > 0 for s in drawn])
    assert 0.5 < blurred.mean() < 0.9
    radii = np.array([s.axial * abs(s.step) for s in drawn])[blurred]
    assert radii.min() < 0.2 < 0.4 < radii.max() <= 0.5
    sections = [draw_slices(rng, 8, sections=True) for _ in range(50)]
    assert max(s.axial for s in sections) < 1


@pytest.mark.parametrize("kind", ["nuclei", "neuropil"])
def test_neighbouring_slices_look_more_alike_where_they_mix(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same scene, drawn thin and thick: noise apart, thick slices change less."""
    changes = {}
    for axial in (0.0, 1.0):
        monkeypatch.setattr(
            "napari_sam2.training.synthetic.draw_slices",
            lambda *_, axial=axial, **__: stack(6, axial),
        )
        changes[axial] = [
            np.abs(np.diff(frames.mean(-1), axis=0)).mean()
            for seed in range(12)
            for frames, _ in [
                draw_clip(np.random.default_rng(seed), 64, 6, kind=kind, stack=True)
            ]
        ]
    assert np.median(changes[1.0]) < 0.8 * np.median(changes[0.0])
