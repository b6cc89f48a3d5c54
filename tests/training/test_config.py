"""Reading a run's configuration, and refusing what cannot be trained."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from napari_sam2.training.config import TrainConfig, read_config
from napari_sam2.training.loop import learning_rate

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = CONFIGS / "nano.toml"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_fields_are_read_and_the_rest_are_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, 'output = "here"\nsteps = 7\nlr = 1\nbf16 = false\n')
    assert read_config(path) == TrainConfig(output="here", steps=7, lr=1, bf16=False)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_the_shipped_configurations_are_such(path: Path) -> None:
    config = read_config(path)
    assert config.preset == "nano"
    assert not Path(config.data_dir).is_absolute()
    assert not Path(config.output).is_absolute()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("output = ", "not valid TOML"),
        ("steps = 3", "must name the output folder"),
        ('output = "a"\nstep = 3', "unknown fields: step; known are .*steps"),
        ('output = "a"\nsteps = "many"', "steps must be a int, not 'many'"),
        ('output = "a"\nsteps = 1.5', "steps must be a int"),
        ('output = "a"\nworkers = true', "workers must be a int"),
        ("output = 3", "output must be a str"),
        ('output = "a"\nsteps = 0', "steps must be at least 1, not 0"),
        ('output = "a"\nsave_every = 0', "save_every must be at least 1"),
        ('output = "a"\nreal_share = 1.5', "real_share is a share"),
        ('output = "a"\nclip_frames = 1', "a clip has a past"),
    ],
)
def test_errors_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_config(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.toml"):
        read_config(tmp_path / "nowhere.toml")


def test_the_rate_warms_up_and_falls_to_a_fiftieth() -> None:
    config = TrainConfig(output="x", steps=1000, warmup=100, lr=2e-3)
    rates = [learning_rate(config, step) for step in range(1001)]
    assert rates[0] == pytest.approx(2e-5)
    assert rates[49] == pytest.approx(1e-3)
    assert rates[99] == pytest.approx(2e-3)
    assert rates[100] == pytest.approx(2e-3)
    assert rates[550] == pytest.approx(2e-3 * 0.51)  # half-way between 1 and 0.02
    assert rates[1000] == pytest.approx(4e-5)
    assert all(a > b for a, b in itertools.pairwise(rates[100:]))


def test_a_run_without_warm_up_starts_at_its_peak() -> None:
    config = replace(TrainConfig(output="x", lr=1e-3), warmup=0)
    assert learning_rate(config, 0) == pytest.approx(1e-3)
