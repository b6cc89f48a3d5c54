"""The panel that adapts models, as a user meets it: choose, learn, compare, keep."""

from __future__ import annotations

import contextlib
import time
from itertools import pairwise
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest
import torch
from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

from napari_sam2.model import Origin, build_model, load_model, own_models, read_card
from napari_sam2.widgets import adapt_messages
from napari_sam2.widgets.adapt_widget import AdaptWidget, suggest_name
from napari_sam2.widgets.adapting import Adapting, Count, Result, TaskResult
from napari_sam2.widgets.engine import ModelChoice, ModelInfo
from napari_sam2.widgets.loss_plot import LINE, LossPlot
from napari_sam2.widgets.pair_choice import misfit
from napari_sam2.widgets.track_widget import TrackWidget
from napari_sam2.widgets.tracking_engine import TrackingEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.model import SAM2

DEAF_SECONDS = 0.15  # 50 ms is what we want; machines that test are busy
PATIENCE = 60_000
FOREVER = 20_000  # steps


def discs(n_frames: int = 3, count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return a movie (uint16) of bright discs that drift, and their labels."""
    labels = np.zeros((n_frames, 96, 128), np.uint16)
    yy, xx = np.mgrid[:96, :128]
    for k in range(count):
        for t in range(n_frames):
            y, x = 24 + 46 * (k // 3) + t, 24 + 40 * (k % 3) + t
            labels[t][(yy - y) ** 2 + (xx - x) ** 2 < 100] = k + 1
    noise = np.random.default_rng(0).normal(0, 60, labels.shape)
    return ((labels > 0) * 2000 + 500 + noise).astype(np.uint16), labels


class Bench:
    """A viewer with the panel in it, a mouse, and the patience to wait."""

    def __init__(self, viewer, engine, qtbot) -> None:
        self.viewer, self.engine, self.qtbot = viewer, engine, qtbot
        self.widget = AdaptWidget(viewer, engine=engine)
        self.panel, self.learning = self.widget.panel, self.widget.learning
        viewer.window.add_dock_widget(self.widget, name="Adapt")
        self.panel.steps.setValue(3)
        self.settle()

    @property
    def status(self) -> str:
        return self.panel.status.text()

    def settle(self) -> None:
        """Wait until all is answered."""
        self.qtbot.waitUntil(lambda: not self.widget.worker.busy, timeout=PATIENCE)

    def press(self, button) -> None:
        """Click a button that can be clicked."""
        assert button.isEnabled(), button.text()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def learn(self) -> None:
        """Learn to the end."""
        self.press(self.panel.start)
        self.settle()

    def learn_some_steps(self) -> None:
        """Be in the middle of a long adaptation."""
        self.panel.steps.setValue(FOREVER)
        self.press(self.panel.start)
        self.qtbot.waitUntil(lambda: len(self.panel.plot.losses) > 3, timeout=PATIENCE)


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """Keep the models of each test apart."""
    monkeypatch.setenv("NAPARI_SAM2_MODELS", str(tmp_path / "models"))
    return tmp_path / "models" / "own"


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def engine(pico) -> Adapting:
    """Return what learns, with a small network of random weights."""

    def load(choice: ModelChoice) -> SAM2:
        torch.manual_seed(0)
        model = build_model(pico).eval().requires_grad_(requires_grad=False)
        model.origin = Origin(name=choice.name, sha256="")
        return model

    return Adapting(load)


@pytest.fixture
def notes():
    """Return what was notified since the test began."""
    notification_manager.records.clear()
    return notification_manager.records


@pytest.fixture
def open_bench(viewer, engine, qtbot) -> Iterator:
    """Return a function that opens the panel on what is in the viewer."""
    made: list[Bench] = []

    def open_panel() -> Bench:
        made.append(Bench(viewer, engine, qtbot))
        return made[-1]

    yield open_panel
    for bench in made:
        bench.widget.close_down()
        assert bench.widget.worker.wait(30), "the worker's thread is still alive"
        with contextlib.suppress(RuntimeError):  # it may have gone with its viewer
            bench.widget.close()


@pytest.fixture
def bench(viewer, open_bench) -> Bench:
    """The panel on a small movie and its labels."""
    movie, labels = discs()
    viewer.add_image(movie, name="discs")
    viewer.add_labels(labels, name="corrected")
    return open_bench()


@pytest.fixture
def track(viewer) -> Iterator[TrackWidget]:
    """The panel that tracks, in the same viewer, on nothing."""

    class Idle(TrackingEngine):
        def open(self, request, frame_idx):
            return np.zeros(request.target.shape, np.uint16)

    widget = TrackWidget(viewer, engine=Idle())
    viewer.window.add_dock_widget(widget, name="Track")
    yield widget
    widget.close_down()
    assert widget.desk.worker.wait(10)


def test_learn_compare_keep_and_use(viewer, track, bench, models, qtbot):
    panel = bench.panel
    assert (panel.image.currentText(), panel.labels.currentText()) == (
        "discs",
        "corrected",
    )
    assert panel.count.text() == (
        "Objects found: <b>6</b>, of which 4 to learn from and 2 held aside."
    )
    assert panel.name.text() == "my-discs"
    assert bench.status == adapt_messages.READY
    assert panel.duration.text() == adapt_messages.TIME_UNKNOWN

    bench.press(panel.start)
    assert not panel.model.isEnabled()
    assert not panel.start.isEnabled()
    bench.settle()
    assert bench.learning.state == "deciding"
    assert len(panel.plot.losses) == 3
    assert panel.duration.text().startswith("about")
    assert panel.table.rowCount() == 3
    assert panel.table.verticalHeaderItem(0).text() == "one click"
    assert panel.table.item(0, 2).text() == "2"
    assert "on 2 objects it did not learn from" in bench.status
    assert not models.exists()  # nothing is kept before it is asked for

    bench.press(panel.keep)
    bench.settle()
    assert bench.learning.state == "kept"
    assert "Kept as my-discs" in bench.status
    loaded = load_model("my-discs", device="cpu")
    assert loaded.config.name == "pico"
    card = read_card(own_models()["my-discs"])
    assert card is not None
    assert (card.parent, card.part, card.steps) == ("nano", "lora", 3)
    assert (card.data, card.learned, card.aside) == (("discs",), 4, 2)
    shown = [float(panel.table.item(0, column).text()) for column in (0, 1)]
    assert shown == pytest.approx(card.scores["1 click"], abs=0.006)
    assert "my-discs  (own)" in texts(panel.model)

    combo = track.panel.model
    at = texts(combo).index("my-discs  (own)")
    tip = combo.itemData(at, Qt.ItemDataRole.ToolTipRole)
    assert tip.startswith("nano, adapted to discs")
    assert track.models.choice.name == "nano"
    bench.press(panel.use)
    assert track.models.choice.name == "my-discs"
    assert bench.learning.state == "kept"
    assert panel.start.isEnabled()  # for the next round
    qtbot.waitUntil(lambda: not track.desk.worker.busy, timeout=PATIENCE)


def texts(combo) -> list[str]:
    return [combo.itemText(at) for at in range(combo.count())]


def test_using_it_opens_the_panel_that_tracks(bench, viewer, monkeypatch, qtbot):
    monkeypatch.setattr(
        "napari_sam2.widgets.track_widget.SavingEngine.open",
        lambda _self, request, _frame: np.zeros(request.target.shape, np.uint16),
    )
    bench.learn()
    bench.press(bench.panel.keep)
    bench.settle()
    bench.press(bench.panel.use)
    (track,) = bench.widget._track_widgets()
    assert track.models.choice.name == "my-discs"
    qtbot.waitUntil(lambda: not track.desk.worker.busy, timeout=PATIENCE)
    assert "my-discs  (own)" in texts(track.panel.model)  # its own catalogue has it
    track.close_down()
    assert track.desk.worker.wait(10)


def test_cancel_ends_it_within_a_step_and_keeps_nothing(bench, models):
    bench.learn_some_steps()
    assert "left" in bench.panel.progress.format()
    done = len(bench.panel.plot.losses)
    bench.press(bench.panel.cancel)
    bench.settle()
    assert len(bench.panel.plot.losses) <= done + 2  # the one running, one on its way
    assert bench.status == adapt_messages.STOPPED
    assert bench.learning.state == "choosing"
    assert bench.engine._done is None
    assert not models.exists()
    assert bench.panel.model.isEnabled()
    bench.panel.steps.setValue(2)
    bench.learn()  # and once more
    assert bench.learning.state == "deciding"


@pytest.mark.parametrize("name", ["discs", "corrected"])
def test_a_layer_is_removed_while_it_learns(bench, viewer, models, name):
    bench.learn_some_steps()
    viewer.layers.remove(name)
    bench.settle()
    assert bench.status == adapt_messages.layer_gone(name)
    assert bench.learning.state == "choosing"
    assert not bench.panel.start.isEnabled()
    assert bench.panel.count.text() == ""
    assert not models.exists()


def test_another_layer_is_removed_and_renamed_while_it_learns(bench, viewer):
    extra = viewer.add_image(np.zeros((8, 8)), name="extra")
    bench.learn_some_steps()
    viewer.layers.remove(extra)
    viewer.layers["discs"].name = "renamed"
    assert bench.learning.state == "learning"
    assert bench.panel.image.currentText() == "renamed"


@pytest.mark.parametrize("how", ["viewer", "dock"])
def test_it_is_closed_while_it_learns(bench, viewer, models, qtbot, how):
    bench.learn_some_steps()
    worker = bench.widget.worker
    if how == "viewer":
        viewer.close()
    else:
        viewer.window.remove_dock_widget(bench.widget)
    qtbot.waitUntil(lambda: not worker.alive, timeout=PATIENCE)
    assert bench.engine._done is None
    assert not models.exists()


def test_too_few_objects_are_said_at_once_and_on_learning(bench, viewer, notes):
    movie, labels = discs(count=3)
    viewer.add_image(movie, name="few")
    viewer.add_labels(labels, name="few labels")
    bench.panel.image.setCurrentText("few")
    bench.panel.labels.setCurrentText("few labels")
    bench.settle()
    assert "There are 3 labelled objects" in bench.panel.count.text()
    bench.learn()
    assert "label at least five" in bench.status
    assert notes[-1].message == bench.status
    assert bench.learning.state == "choosing"


def test_painting_counts_again(bench, viewer, qtbot):
    layer = viewer.layers["corrected"]
    layer.paint((0, 48, 4), 7)  # a stroke of a new cell
    layer.data_setitem((np.zeros(64, int), *np.indices((8, 8)).reshape(2, -1)), 7)
    qtbot.waitUntil(
        lambda: "Objects found: <b>7</b>" in bench.panel.count.text(), timeout=PATIENCE
    )


def test_a_count_that_comes_too_late_is_not_shown(bench, viewer):
    bench.press(bench.panel.recount)
    viewer.add_labels(np.zeros((3, 50, 60), np.uint8), name="small")
    bench.panel.labels.setCurrentText("small")
    bench.settle()
    assert bench.panel.count.text() == ""


def test_labels_of_another_image_are_refused_in_a_sentence(bench, viewer, notes):
    panel = bench.panel
    small = viewer.add_labels(np.zeros((3, 50, 60), np.uint8), name="small")
    panel.labels.setCurrentText("small")
    bench.settle()
    assert bench.status == (
        "'small' has 3 × 50 × 60 pixels but 'discs' 3 × 96 × 128: choose labels that "
        "were made on this image."
    )
    assert not panel.start.isEnabled()
    assert panel.count.text() == ""
    viewer.layers.remove(small)
    bench.settle()
    assert panel.labels.currentText() == "corrected"
    assert panel.start.isEnabled()
    assert bench.status == adapt_messages.READY

    viewer.layers["corrected"].scale = (1, 2, 2)
    assert "does not lie on 'discs'" in bench.status
    assert not panel.start.isEnabled()
    viewer.layers["discs"].scale = (1, 2, 2)
    assert panel.start.isEnabled()


def test_what_fits():
    image = Image(np.zeros((4, 8, 9)), axis_labels=("t", "y", "x"), name="i")
    same = {"axis_labels": ("t", "y", "x")}
    plane = np.zeros((4, 8, 9), np.uint8)
    assert misfit(image, Labels(plane, **same)) is None
    assert misfit(image, Labels(plane)) is None  # unnamed axes may be any
    assert "axes z, y, x" in misfit(image, Labels(plane, axis_labels=("z", "y", "x")))
    assert "does not lie" in misfit(image, Labels(plane, translate=(0, 5, 0)))
    colours = Image(np.zeros((8, 9, 3), np.uint8), rgb=True)
    assert misfit(colours, Labels(np.zeros((8, 9), np.uint8))) is None


def test_labels_of_a_coarser_resolution_are_learned_from(viewer, open_bench):
    coarse, labels = discs()
    fine = coarse.repeat(2, axis=1).repeat(2, axis=2)
    viewer.add_image([fine, coarse], multiscale=True, name="pyramid", scale=(1, 3, 3))
    place = {"scale": (1, 6, 6), "translate": (0, 1.5, 1.5)}
    viewer.add_labels(labels, name="corrected", **place)
    bench = open_bench()
    assert bench.status == adapt_messages.READY
    assert "Objects found: <b>6</b>" in bench.panel.count.text()
    pair = bench.widget.pairs.pair()
    assert pair.target.data is viewer.layers["pyramid"].data[1]
    assert pair.target.level == 1
    bench.learn()
    bench.press(bench.panel.copy)
    script = QApplication.clipboard().text()
    assert "open_stack(viewer.layers['pyramid'].data[1]," in script


def test_labels_of_a_coarser_resolution_have_to_fit_as_well(viewer, open_bench):
    coarse, labels = discs()
    fine = coarse.repeat(2, axis=1).repeat(2, axis=2)
    viewer.add_image([fine, coarse], multiscale=True, name="pyramid")
    place = {"scale": (1, 2, 2), "translate": (0, 0.5, 0.5)}
    layer = viewer.add_labels(labels, name="corrected", **place)
    bench = open_bench()
    assert bench.status == adapt_messages.READY
    layer.translate = (0, 0, 0)
    assert "does not lie on 'pyramid'" in bench.status
    viewer.layers.remove(layer)
    viewer.add_labels(labels[:, ::2, ::2], name="coarser", **place)
    bench.settle()
    assert bench.status == (
        "'coarser' has 3 × 48 × 64 pixels but 'pyramid' 3 × 192 × 256: choose labels "
        "that were made on this image."
    )


def test_without_layers_it_says_what_to_choose(viewer, open_bench):
    bench = open_bench()
    assert bench.status == adapt_messages.NO_PAIR
    assert not bench.panel.start.isEnabled()
    bench.widget.start()
    bench.widget.use()
    bench.learning.cancel()
    bench.learning.keep()
    bench.learning.discard()
    bench.press(bench.panel.copy)
    assert bench.status == adapt_messages.NO_PAIR
    movie, labels = discs()
    viewer.add_labels(labels, name="late labels")
    viewer.add_image(movie, name="late")
    bench.settle()
    assert bench.status == adapt_messages.READY
    assert "Objects found: <b>6</b>" in bench.panel.count.text()


def test_a_taken_name_asks_before_it_is_replaced(bench, models, notes):
    panel = bench.panel
    models.mkdir(parents=True)
    taken = models / "my-discs.safetensors"
    taken.write_bytes(b"precious")
    bench.learn()
    bench.press(panel.keep)
    bench.settle()
    assert bench.status == adapt_messages.ask_to_replace("my-discs")
    assert taken.read_bytes() == b"precious"
    assert panel.keep.text() == "Replace"
    panel.name.setText("nano")
    assert panel.keep.text() == "Keep"  # another name is another question
    bench.press(panel.keep)
    bench.settle()
    assert "everybody has" in bench.status
    panel.name.setText("")
    bench.press(panel.keep)
    assert bench.status == adapt_messages.NO_NAME
    panel.name.setText("my-discs")
    bench.press(panel.keep)
    bench.settle()
    assert bench.learning.state == "deciding"
    bench.press(panel.keep)
    bench.settle()
    assert bench.learning.state == "kept"
    assert load_model("my-discs", device="cpu").config.name == "pico"
    assert [path.name for path in models.iterdir()] == ["my-discs.safetensors"]


def test_discarding_lets_it_go(bench, models):
    bench.learn()
    bench.press(bench.panel.discard)
    bench.settle()
    assert bench.status == adapt_messages.DISCARDED
    assert bench.engine._done is None
    assert not bench.panel.table.isVisible()
    assert bench.panel.start.isEnabled()
    assert not models.exists()
    bench.panel.name.setText(" ")
    bench.press(bench.panel.start)
    assert bench.status == adapt_messages.NO_NAME


def test_a_disk_that_fails_can_be_tried_again(bench, monkeypatch, notes):
    bench.learn()
    with monkeypatch.context() as patch:
        patch.setattr(bench.engine, "keep", full_disk)
        bench.press(bench.panel.keep)
        bench.settle()
    assert bench.status == "The disk is full."
    bench.press(bench.panel.keep)
    bench.settle()
    assert bench.learning.state == "kept"


def full_disk(*_args, **_options):
    raise OSError("The disk is full.")


def test_the_script_does_the_same(bench, viewer, models):
    bench.learn()
    bench.press(bench.panel.copy)
    script = QApplication.clipboard().text()
    assert bench.panel.console.text() in (
        "work = finetune(model, [item], FinetuneConfig(part='lora', steps=3))"
    )
    bench.press(bench.panel.keep)
    bench.settle()
    by_panel = load_model("my-discs", device="cpu").state_dict()
    script = script.replace("'my-discs'", "'by-hand'")
    opened = bench.engine._loader
    script = script.replace("load_model('nano')", "load(choice)")
    exec(script, {"viewer": viewer, "load": opened, "choice": ModelChoice()})
    by_hand = load_model("by-hand", device="cpu").state_dict()
    for key, value in by_panel.items():
        assert torch.equal(value, by_hand[key]), key


def test_only_the_held_plane_of_lazy_labels_is_learned_from(viewer, open_bench):
    movie, labels = discs(n_frames=2)
    wide = np.stack([np.zeros_like(labels), labels], axis=1)  # (T, Z, Y, X)
    viewer.add_image(
        da.from_array(np.stack([movie, movie], axis=1), chunks=(1, 1, 96, 128)),
        name="wide",
        contrast_limits=(0, 4000),
    )
    viewer.add_labels(da.from_array(wide, chunks=(1, 1, 96, 128)), name="wide labels")
    viewer.dims.set_point(1, 1)
    bench = open_bench()
    assert "<b>6</b>" in bench.panel.count.text()
    bench.learn()
    assert bench.learning.state == "deciding"
    bench.press(bench.panel.copy)
    assert "labels=viewer.layers['wide labels'].data[:, 1])" in (
        QApplication.clipboard().text()
    )
    bench.press(bench.panel.discard)
    viewer.dims.set_point(1, 0)
    bench.press(bench.panel.recount)
    bench.settle()
    assert "There are 0 labelled objects" in bench.panel.count.text()


def test_the_event_loop_is_never_deaf_while_it_counts_and_learns(bench, qtbot):
    bench.learn()  # imports and first steps are behind us
    bench.press(bench.panel.discard)
    bench.panel.steps.setValue(15)
    beats: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(time.perf_counter()))
    timer.start(5)
    bench.press(bench.panel.recount)
    bench.settle()
    bench.learn()
    timer.stop()
    gaps = [b - a for a, b in pairwise(beats)]
    assert len(gaps) > 10
    assert max(gaps) < DEAF_SECONDS, f"deaf for {1000 * max(gaps):.0f} ms"


def result(*rows: tuple[str, float, float, int]) -> Result:
    names = ("task", "before", "after", "objects")
    found = tuple(TaskResult(**dict(zip(names, row, strict=True))) for row in rows)
    gain = float(np.mean([row.after - row.before for row in found]))
    return Result(tasks=found, gain=gain, learned=20)


def test_it_says_honestly_whether_it_got_better():
    better = adapt_messages.brought(
        result(("1 click", 0.46, 0.58, 12), ("box", 0.7, 0.8, 12))
    )
    assert better == (
        "<b>It got better:</b> one click 0.46 → 0.58 on 12 objects it did not learn "
        "from. Keep it?"
    )
    mixed = adapt_messages.brought(
        result(("1 click", 0.46, 0.58, 4), ("box", 0.8, 0.7, 4))
    )
    assert "But a box 0.80 → 0.70." in mixed
    assert "may be chance" in mixed
    worse = adapt_messages.brought(result(("1 click", 0.58, 0.46, 12)))
    assert worse.startswith("<b>It did not get better:</b> one click 0.58 → 0.46")
    assert "Keep it only if" in worse


def test_words():
    assert adapt_messages.about(3) == "about 5 s"
    assert adapt_messages.about(44) == "about 45 s"
    assert adapt_messages.about(250) == "about 4 min"
    assert suggest_name("cells [1].tif") == "my-cells-1-tif"
    assert suggest_name("…") == "my-cells"
    assert "3 of 9" in adapt_messages.counting(Count(done=3, total=9))


def test_the_loss_plot_smooths_and_draws(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(300, 120)
    plot.begin(100)
    empty = plot.grab().toImage()
    for step in range(100):
        plot.add(2.0 + (step % 2) + (100.0 if step == 50 else 0.0))
    assert len(plot.smoothed) == 100
    assert plot.smoothed[0] == pytest.approx(2.0)
    assert plot.smoothed[40] == pytest.approx(2.5, abs=0.1)
    drawn = plot.grab().toImage()
    amber = {
        x
        for x in range(drawn.width())
        for y in range(drawn.height())
        if drawn.pixelColor(x, y) == LINE
    }
    assert len(amber) > 150  # the line goes across
    assert empty != drawn
    plot.begin(5)
    assert plot.losses == ()
    assert plot.grab().toImage() == empty


def test_own_models_are_in_the_catalogue_and_a_replaced_one_is_another(
    models, pico, tmp_path
):
    from napari_sam2.model.own_models import Card, save_own

    model = build_model(pico)
    card = Card(parent="nano", data=("a", "b"), scores={"box": (0.5, 0.625)})
    path = save_own(model, "mine", card)
    (models / "broken.safetensors").write_bytes(b"no model")

    def listed() -> dict[str, ModelInfo]:
        return {info.name: info for info in TrackingEngine().catalogue().models}

    first = listed()
    assert list(first)[-2:] == ["broken", "mine"]
    assert first["mine"].note == "own"
    assert "nano, adapted to a, b" in first["mine"].tip
    assert "box: 0.50 → 0.62" in first["mine"].tip
    assert "damaged" in first["broken"].tip
    time.sleep(0.01)
    assert save_own(model, "mine", card) == path
    assert listed()["mine"].version != first["mine"].version
