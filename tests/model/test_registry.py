"""Downloads against a real server on this machine, and against file://."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading

import pytest

from napari_sam2.downloading import DownloadError
from napari_sam2.model import registry
from napari_sam2.model.registry import (
    CHECKPOINTS,
    MissingCheckpointError,
    checkpoint_path,
    download,
)

NAME = "sam2.1-tiny"
FILE = "sam2.1_hiera_tiny.pt"
BODY = bytes(range(256)) * 12_000  # 3.07 MB: several blocks
SHA256 = hashlib.sha256(BODY).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        body, start = server.body, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        server.asked.append(self.headers.get("Range"))
        if not self.path.endswith(FILE):
            self.send_error(404)
            return
        if asked and server.ranges:
            start = int(asked[1])
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.end_headers()
                return
            self.send_response(206)
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : server.break_at])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    served.body, served.ranges, served.break_at, served.asked = BODY, True, None, []
    served.url = f"http://127.0.0.1:{served.server_port}/models"
    thread = threading.Thread(
        target=served.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


def fetch(server, folder, **kwargs):
    return download(NAME, base_url=server.url, folder=folder, sha256=SHA256, **kwargs)


def test_downloads_checks_and_names(server, tmp_path):
    seen = []
    path = fetch(server, tmp_path / "new", progress=lambda *a: seen.append(a))
    assert path == tmp_path / "new" / FILE
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert len(seen) >= 3
    assert [p.name for p in path.parent.iterdir()] == [FILE]
    assert checkpoint_path(NAME, folder=path.parent) == path


def test_second_call_fetches_nothing(server, tmp_path):
    fetch(server, tmp_path)
    fetch(server, tmp_path)
    assert len(server.asked) == 1


def test_broken_connection_is_continued_by_range(server, tmp_path):
    server.break_at = 2_000_000
    with pytest.raises(DownloadError, match="Run the same again"):
        fetch(server, tmp_path)
    assert (tmp_path / f"{FILE}.part").stat().st_size == 2_000_000
    assert not (tmp_path / FILE).exists()
    server.break_at = None
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.asked == [None, "bytes=2000000-"]


def test_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    (tmp_path / f"{FILE}.part").write_bytes(BODY[:1000])
    assert fetch(server, tmp_path).read_bytes() == BODY


@pytest.mark.parametrize("extra", [b"", b"more"], ids=["whole", "too long"])
def test_part_that_is_already_whole_or_too_long(server, tmp_path, extra):
    (tmp_path / f"{FILE}.part").write_bytes(BODY + extra)
    assert fetch(server, tmp_path).read_bytes() == BODY


def test_part_of_another_file_is_thrown_away(server, tmp_path):
    (tmp_path / f"{FILE}.part").write_bytes(b"x" * 1000)
    assert fetch(server, tmp_path).read_bytes() == BODY
    assert server.asked == ["bytes=1000-", None]


def test_damaged_file_is_fetched_again(server, tmp_path):
    (tmp_path / FILE).write_bytes(b"damaged")
    assert fetch(server, tmp_path).read_bytes() == BODY


def test_wrong_file_is_refused_and_deleted(server, tmp_path):
    with pytest.raises(DownloadError, match="not the file it should be"):
        download(NAME, base_url=server.url, folder=tmp_path)  # the published hash
    assert list(tmp_path.iterdir()) == []


def test_progress_can_cancel_and_the_piece_is_kept(server, tmp_path):
    class StopError(Exception):
        pass

    def stop(done, total):
        raise StopError

    with pytest.raises(StopError):
        fetch(server, tmp_path, progress=stop)
    assert (tmp_path / f"{FILE}.part").stat().st_size == 1 << 20
    fetch(server, tmp_path)
    assert server.asked[1] == f"bytes={1 << 20}-"


def test_file_address_is_continued_too(tmp_path):
    offline = tmp_path / "a stick"
    offline.mkdir()
    (offline / FILE).write_bytes(BODY)
    target = tmp_path / "models"
    target.mkdir()
    (target / f"{FILE}.part").write_bytes(BODY[:12345])
    seen = []
    path = download(
        NAME,
        base_url=offline.as_uri(),
        folder=target,
        sha256=SHA256,
        progress=lambda *a: seen.append(a),
    )
    assert path.read_bytes() == BODY
    assert seen[0] == (12345 + (1 << 20), len(BODY))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "file:///nowhere/at/all", "ftp://127.0.0.1/"]
)
def test_unreachable_places_say_so(url, tmp_path):
    with pytest.raises(DownloadError, match="cannot be read"):
        download(NAME, base_url=url, folder=tmp_path, sha256=SHA256)


def test_missing_on_the_server(server, tmp_path):
    with pytest.raises(DownloadError, match="404"):
        download("sam2.1-small", base_url=server.url, folder=tmp_path)


def test_missing_checkpoint_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.FOLDER_VARIABLE, str(tmp_path / "lab"))
    with pytest.raises(MissingCheckpointError) as caught:
        checkpoint_path("sam2.1-large")
    assert "napari-sam2 models --download sam2.1-large" in str(caught.value)
    assert str(tmp_path / "lab") in str(caught.value)


def test_offline_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv(registry.FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / FILE).write_bytes(b"here")
    assert checkpoint_path(NAME) == tmp_path / FILE


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"nano, sam2\.1-tiny"):
        checkpoint_path("sam3")


def test_no_published_hash_means_no_blind_download(server, tmp_path):
    with pytest.raises(ValueError, match=r"use sam2\.1-tiny"):
        download("sam2-tiny", base_url=server.url, folder=tmp_path)
    assert server.asked == []


def test_nano_travels_in_the_package():
    path = download("nano")
    assert path == checkpoint_path("nano")
    assert path.stat().st_size <= 12_000_000


def test_published_facts_are_whole():
    for checkpoint in CHECKPOINTS.values():
        if checkpoint.name.startswith("sam2.1"):
            assert re.fullmatch("[0-9a-f]{64}", checkpoint.sha256)
            assert checkpoint.base_url.startswith("https://")
