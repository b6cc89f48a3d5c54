"""The public sample, fetched from a real server on this machine, as a user waits."""

from __future__ import annotations

import hashlib
import http.server
import io
import re
import socket
import threading
import time

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QProgressDialog, QPushButton

from napari_sam2 import downloading
from napari_sam2.downloading import DownloadError
from napari_sam2.stacks import public_samples
from napari_sam2.widgets import fetching
from napari_sam2.widgets.samples import public_cells

BLOCK = 4096
VOLUME = np.arange(6 * 2 * 32 * 32, dtype=np.uint16).reshape(6, 2, 32, 32)
DEAF_SECONDS = 0.15


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends a file in blocks, from the byte asked for on, up to `break_at`."""

    def do_GET(self):
        server, start = self.server, 0
        wanted = self.headers.get("Range")
        server.asked.append(wanted)
        if wanted:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(server.body) - start))
        self.end_headers()
        end = len(server.body) if server.break_at is None else server.break_at
        for at in range(start, end, BLOCK):
            time.sleep(server.seconds)
            try:
                self.wfile.write(server.body[at : min(at + BLOCK, end)])
            except OSError:  # nobody listens any more
                return

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A small file in place of the real one, with its own hash."""
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    file = io.BytesIO()
    tifffile.imwrite(file, VOLUME)
    served.body, served.asked = file.getvalue(), []
    served.break_at, served.seconds = None, 0.0
    monkeypatch.setattr(downloading, "_BLOCK", BLOCK)
    monkeypatch.setattr(fetching, "SHOWN_AFTER_MILLISECONDS", 0)
    sha256 = hashlib.sha256(served.body).hexdigest()
    url = f"http://127.0.0.1:{served.server_port}/cells3d.tif"
    monkeypatch.setattr(public_samples, "CELLS3D_SHA256", sha256)
    monkeypatch.setattr(public_samples, "CELLS3D_URL", url)
    monkeypatch.setattr(public_samples, "samples_folder", lambda: tmp_path / "kept")
    served.part = tmp_path / "kept" / "cells3d.tif.part"
    thread = threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


class Watcher:
    """Looks at the window while it is waited for, and how late it gets to."""

    def __init__(self, cancel_at: int | None = None) -> None:
        self.labels: list[str] = []
        self.values: list[int] = []
        self.latest = 0.0
        self._cancel_at, self._last = cancel_at, time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._look)
        self._timer.start(5)

    def _look(self) -> None:
        now = time.perf_counter()
        self.latest, self._last = max(self.latest, now - self._last), now
        for window in QApplication.topLevelWidgets():
            if isinstance(window, QProgressDialog) and window.isVisible():
                self.labels.append(window.labelText())
                self.values.append(window.value())
                if self._cancel_at is not None and window.value() >= self._cancel_at:
                    self._cancel_at = None
                    window.findChild(QPushButton).click()

    def stop(self) -> None:
        self._timer.stop()


@pytest.fixture
def watch(qapp):
    made = []

    def begin(**given):
        made.append(Watcher(**given))
        return made[-1]

    yield begin
    for watcher in made:
        watcher.stop()


def sentence_of(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def test_it_is_opened_in_napari_while_a_bar_fills(server, watch, viewer):
    server.seconds = 0.05
    viewer.open_sample("napari-sam2", "cells-movie")  # a first layer takes its time
    watcher = watch()
    viewer.open_sample("napari-sam2", "cells3d")
    watcher.stop()
    assert np.array_equal(viewer.layers["nuclei"].data, VOLUME[:, 1])
    assert len(set(watcher.values)) > 3
    assert watcher.values == sorted(watcher.values)
    assert re.fullmatch(
        r"Fetching real cells in a volume: 0\.0 of 0\.0 MB", watcher.labels[-1]
    )
    assert server.asked == [None]
    viewer.open_sample("napari-sam2", "cells3d")
    assert server.asked == [None]  # it is here now


def test_the_window_is_not_frozen_meanwhile(server, watch):
    server.seconds = 0.1
    watcher = watch()
    public_cells()
    assert watcher.latest < DEAF_SECONDS


def test_cancelled_and_gone_on_with(server, watch):
    server.seconds = 0.05
    watch(cancel_at=300)
    with pytest.raises(
        DownloadError, match="was cancelled; what has arrived is kep"
    ) as e:
        public_cells()
    sentence_of(e)
    kept = server.part.stat().st_size
    assert 0 < kept < len(server.body)
    assert not any(t.name == "napari-sam2 fetching" for t in threading.enumerate())
    assert np.array_equal(public_cells()[0][0], VOLUME[:, 0])
    assert server.asked == [None, f"bytes={kept}-"]


def test_cut_off_and_gone_on_with(server, qapp):
    server.break_at = 2 * BLOCK + 5
    with pytest.raises(DownloadError, match="Run the same again: it continues") as e:
        public_cells()
    assert sentence_of(e).startswith("This sample is not here yet and cannot be")
    kept = server.part.stat().st_size
    assert kept == server.break_at
    server.break_at = None
    assert np.array_equal(public_cells()[1][0], VOLUME[:, 1])
    assert server.asked == [None, f"bytes={kept}-"]


def test_another_file_is_refused(server, qapp):
    server.body = bytes(len(server.body))
    with pytest.raises(DownloadError, match="is not the file it should be") as e:
        public_cells()
    sentence_of(e)
    assert list(server.part.parent.iterdir()) == []


def test_no_network(server, qapp, monkeypatch):
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/cells3d.tif"
        monkeypatch.setattr(public_samples, "CELLS3D_URL", url)
        with pytest.raises(DownloadError, match="and open the sample again") as e:
            public_cells()
    assert "Check the address and the connection" in sentence_of(e)


def test_in_another_thread_no_window_opens(server, watch):
    server.seconds = 0.02
    watcher, found = watch(), []
    thread = threading.Thread(target=lambda: found.append(public_cells()))
    thread.start()
    while thread.is_alive():
        QApplication.processEvents()
    assert np.array_equal(found[0][0][0], VOLUME[:, 0])
    assert watcher.labels == []
