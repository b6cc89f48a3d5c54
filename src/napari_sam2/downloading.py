"""Files from the internet: in pieces that survive an interruption, checked by hash."""

from __future__ import annotations

import hashlib
import http.client
import io
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[int, int | None], None]

TIMEOUT_SECONDS = 60
_BLOCK = 1 << 20


class DownloadError(OSError):
    """A download failed; what has arrived is kept, and the next try continues it."""


def fetch_file(
    url: str,
    path: Path,
    *,
    sha256: str,
    progress: Progress | None = None,
    advice: str = "and try again",
) -> Path:
    """Fetch a file unless it is here, check its hash, and return its path.

    An interrupted download leaves ``FILE.part``, which the next call continues. The
    file gets its name only after its hash was found right.

    Parameters
    ----------
    url : str
        ``https://``, ``http://`` or ``file://``.
    path : Path
        Where it goes; its folder is made if missing.
    sha256 : str
        The expected hash, 64 hex digits.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_in_all_or_None)`` after every block.
        What it raises ends the download and reaches the caller.
    advice : str
        What to do where the place cannot be reached, after "Check the address and the
        connection".

    Raises
    ------
    DownloadError
        If the place cannot be reached, ends early, or holds another file.
    """
    if path.is_file() and file_sha256(path) == sha256:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    resumed = _part_size(part) > 0
    _fetch(url, part, progress, advice)
    found = file_sha256(part)
    if found != sha256 and resumed:  # the kept piece may be of another file
        part.unlink()
        _fetch(url, part, progress, advice)
        found = file_sha256(part)
    if found != sha256:
        part.unlink()
        raise DownloadError(
            f"{url} is not the file it should be (SHA-256 {found[:12]}…, expected "
            f"{sha256[:12]}…). It was deleted; try again, or another place."
        )
    part.replace(path)
    return path


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of the file at `path` as 64 lower-case hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _part_size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _fetch(url: str, part: Path, progress: Progress | None, advice: str) -> None:
    """Append what `part` lacks of the file at `url`."""
    try:
        source, start, total = _open(url, _part_size(part))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DownloadError(
            f"{url} cannot be read ({_reason(error)}). Check the address and the "
            f"connection, {advice}."
        ) from error
    with source, part.open("ab") as target:
        target.truncate(start)
        done = start
        while True:
            block = _read(source, url, done)
            if not block:
                break
            target.write(block)
            done += len(block)
            if progress is not None:
                progress(done, total)
    if total is not None and done < total:
        raise DownloadError(
            f"{url} ended after {done:,} of {total:,} bytes. Run the same again: it "
            "continues from there."
        )


def _read(source: BinaryIO, url: str, done: int) -> bytes:
    try:
        return source.read(_BLOCK)
    except (OSError, EOFError, http.client.HTTPException) as error:
        raise DownloadError(
            f"{url} broke off after {done:,} bytes ({_reason(error)}). Run the same "
            "again: it continues from there."
        ) from error


def _open(url: str, start: int) -> tuple[BinaryIO, int, int | None]:
    """Open `url` at byte `start`; return (stream, byte it really starts at, total)."""
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme == "file":
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))
        total = path.stat().st_size
        stream = path.open("rb")
        start = start if start <= total else 0
        stream.seek(start)
        return stream, start, total
    if scheme not in ("http", "https"):
        raise ValueError("only https://, http:// and file:// are understood")
    request = urllib.request.Request(url, headers={"User-Agent": "napari-sam2"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not start:
            raise
        error.close()  # nothing after `start`: whole already, or longer than the file
        if error.headers.get("Content-Range") == f"bytes */{start}":
            return io.BytesIO(), start, start
        return _open(url, 0)
    total_text = response.headers.get("Content-Length")
    rest = int(total_text) if total_text else None
    if response.status != 206:  # a server that knows no ranges sends everything
        start = 0
    return response, start, None if rest is None else start + rest


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return str(error)
    reason = getattr(error, "reason", None) or error
    return str(getattr(reason, "strerror", None) or reason) or type(error).__name__
