"""Every button and action of the panel shows the line that does what it did."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from qtpy.QtWidgets import QAbstractButton, QFileDialog, QMenu

from napari_sam2.tracking.shelf import Earlier
from napari_sam2.widgets import session_dialogs
from napari_sam2.widgets.console_lines import propagate_line, tool_line
from napari_sam2.widgets.engine import Repeat

if TYPE_CHECKING:
    from qtpy.QtGui import QAction

# docs/panel.md says so of the same ones.
WITHOUT = {
    "help_button": "shows the keys",
    "more": "opens the menu of the cell",
    "session_menu.button": "opens the menu of the session",
    "further.toggleButton": "folds a part of the panel",
    "watch": "whether the slider goes along",
    "again": "part of the line of Follow",
    "strip_below": "where the strip is",
    "export": "opens the window, which has a line for all that it writes",
    "copy": "copies the lines",
}
WITHOUT_IN_MENU = {"Hide"}


def named_buttons(panel) -> dict[str, QAbstractButton]:
    """Return the panel's buttons by their names in it."""
    found = {"further.toggleButton": panel.further.toggleButton()}
    for prefix, owner in (
        ("", panel),
        ("further.", panel.further),
        ("session_menu.", panel.session_menu),
    ):
        for name, value in vars(owner).items():
            if isinstance(value, QAbstractButton) and not name.startswith("_"):
                found[f"{prefix}{name}"] = value
    return found


@pytest.fixture
def busy(bench, viewer, monkeypatch, tmp_path):
    """A panel in which every button has something to do."""
    bench.click(0, 20, 30)
    bench.widget.new_object()
    bench.click(0, 35, 50)
    bench.widget.follow("forward")
    bench.settle()
    viewer.add_labels(np.ones((12, 48, 64), np.uint16), name="other")
    for name, given in (
        ("ask_where_to_save", tmp_path / "mine.sam2.zarr"),
        ("ask_what_to_open", tmp_path / "mine.sam2.zarr"),
    ):
        monkeypatch.setattr(session_dialogs, name, lambda *_, given=given: given)
    return bench


def line_of(bench, act) -> str:
    console = bench.widget.panel.console
    console.clear()
    act()
    bench.settle()
    return console.text()


def test_every_button_has_its_line_or_is_known_to_need_none(
    busy, engine, monkeypatch, tmp_path
):
    chosen = str(tmp_path / "model.pt"), ""
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: chosen)
    widget, panel = busy.widget, busy.widget.panel
    earlier = Earlier(path=Path("earlier"), when=0.0, objects=1, frames=1)

    def doubt():
        busy.place.cells[1].confidence[[2, 9]] = 0.1
        busy.place.go_to(5)

    def begin_to_follow():
        engine.seconds = 0.05
        panel.again.setChecked(True)
        widget.follow("forward")

    before = {
        "lock": lambda: setattr(busy.place, "object_id", 1),
        "recover": lambda: setattr(widget.recovering, "_earlier", earlier),
        "use_labels": lambda: panel.start_layer.setCurrentText("other"),
        "next_doubtful": doubt,
        "previous_doubtful": doubt,
        "stop": begin_to_follow,
        "download": lambda: panel.model.setCurrentIndex(1),
        "model_file": lambda: panel.model.setCurrentIndex(0),
    }
    buttons = named_buttons(panel)
    inside = [
        button
        for button in panel.findChildren(QAbstractButton)
        if not button.objectName().startswith("qt_")
        and type(button).__name__ != "QAbstractButton"  # the corner of a table
    ]
    nameless = [b for b in inside if b not in buttons.values()]
    assert nameless == [], "give these buttons a name in the panel, and a line"
    assert WITHOUT.keys() <= buttons.keys()
    # What ends the present work comes last.
    last = ["delete_object", "new_contrast", "recover", "download", "model_file"]
    names = [name for name in buttons if name not in last] + last
    silent = []
    for name in names:
        if name in WITHOUT:
            continue
        before.get(name, lambda: None)()
        if name not in ("stop", "download"):
            busy.settle()
        if not line_of(busy, buttons[name].click):
            silent.append(name)
        engine.seconds = 0.0
    assert silent == []


def test_every_entry_of_the_menus_has_its_line(busy, engine):
    widget, place = busy.widget, busy.place
    engine.found_at = dict(place.last_target.found_at)

    def entries(menu: QMenu) -> list[QAction]:
        """Return what can be chosen, in menus within menus as well."""
        inner = {found.menuAction(): found for found in menu.findChildren(QMenu)}
        return [
            entry
            for action in menu.actions()
            if not action.isSeparator()
            for entry in (entries(inner[action]) if action in inner else [action])
        ]

    count = len(entries(widget.cell_menu.menu(1)))
    silent = set()
    for at in range(count):
        if len(place.cells.ids) < 2:  # there must be another to swap and join with
            widget.undo()
            busy.settle()
        menu = widget.cell_menu.menu(place.cells.ids[0])
        entry = entries(menu)[at]
        if not line_of(busy, entry.trigger):
            silent.add(entry.text())
    assert silent == WITHOUT_IN_MENU
    session = busy.widget.panel.session_menu
    for action in (session.save, session.save_as, session.open):
        assert line_of(busy, action.trigger), action.text()


def test_choices_beside_the_buttons_have_theirs(busy, viewer):
    panel, place = busy.widget.panel, busy.place
    strip = partial(panel.strip.chosen.emit, 3, 2)
    assert line_of(busy, strip) == "viewer.dims.set_current_step(0, 3)"
    assert line_of(busy, partial(panel.device.setCurrentText, "cpu")) == (
        "model = load_model('nano', device='cpu', dtype='auto')"
    )
    limits = partial(setattr, place.image, "contrast_limits", (0, 900))
    assert line_of(busy, limits) == ""  # it is offered on a button
    line = line_of(busy, panel.new_contrast.click)
    assert line.startswith("stack = open_stack(")
    assert "contrast_limits=(0.0, 900.0)" in line


def test_the_lines_of_tools_and_of_following_again():
    assert tool_line("click", 3, 5, positive=False) == (
        "session.add_points(3, 5, …, 0)  # the next click"
    )
    assert tool_line("outline", 3, 5, positive=True) == (
        "session.add_polygon(3, 5, …)  # the next drag"
    )
    assert tool_line("outline", 3, 5, positive=False) == (
        "session.add_outlines(3, 5, […, (…, 0)])  # the next drag"
    )
    assert propagate_line("both", range(2, 4), everything=True) == (
        "for result in session.propagate('both', frames=range(2, 4), everything=True): "
        "print(result.frame_idx)"
    )


def test_the_line_of_following_and_repeating_does_both(capsys):
    """It is one statement, so it can be pasted as it is."""
    done = []

    class Told:
        def __init__(self, *made):
            self.made = made

        def propagate(self, *args, **named):
            done.append(("propagate", args, named))
            yield from range(3)

        def run(self, *args, **named):
            done.append((self.made, args, named))
            yield from range(5)

    session = Told()
    repeat = Repeat(over="T", direction="forward", frames=range(2, 4))
    names = {"session": session, "Repetition": Told}
    line = propagate_line("forward", range(2, 4), repeat, everything=True)
    exec(line, names)
    how = ("forward",), {"frames": range(2, 4), "everything": True}
    assert done == [("propagate", *how), ((session, "T"), *how)]
    assert capsys.readouterr().out == "3\n5\n"
    assert isinstance(names["repetition"], Told)  # its labels are to be looked at
