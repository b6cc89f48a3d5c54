"""The checkpoints known by name: where they are, how they get here, what they hash to.

``nano`` travels inside the package. Meta's are downloaded once, in pieces that survive
an interruption, and are given their final name only after their SHA-256 was checked.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_sam2.downloading import fetch_file

if TYPE_CHECKING:
    from napari_sam2.downloading import Progress

FOLDER_VARIABLE = "NAPARI_SAM2_MODELS"
BASE_URL_2_1 = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
BASE_URL_2_0 = "https://dl.fbaipublicfiles.com/segment_anything_2/072824/"
_PACKAGED = Path(__file__).parent / "checkpoints"


class MissingCheckpointError(FileNotFoundError):
    """A known checkpoint is not on this machine; the message says how to get it."""

    def __str__(self) -> str:
        """Return the sentence alone, without an errno."""
        return str(self.args[0])


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint known by name.

    Attributes
    ----------
    name : str
        What the user types, e.g. ``"sam2.1-tiny"``.
    filename : str
        Name of the file, in the package or in the models folder.
    base_url : str or None
        Address the file name is appended to; None: it travels inside the package.
    sha256 : str or None
        Published hash (64 hex digits); None where none is known, and then a download
        needs one from the user.
    n_bytes : int or None
        Size in bytes where known.
    """

    name: str
    filename: str
    base_url: str | None = None
    sha256: str | None = None
    n_bytes: int | None = None

    @property
    def packaged(self) -> bool:
        """Whether the file travels inside the package."""
        return self.base_url is None


def _known() -> dict[str, Checkpoint]:
    facts_2_1 = (
        ("tiny", "tiny", "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69", 156_008_466),  # noqa: E501
        ("small", "small", "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38", None),  # noqa: E501
        ("base-plus", "base_plus", "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5", None),  # noqa: E501
        ("large", "large", "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318", 898_083_611),  # noqa: E501
    )  # fmt: skip
    found = [Checkpoint(name="nano", filename="nano.safetensors")]
    for size, stem, sha256, n_bytes in facts_2_1:
        found.append(
            Checkpoint(
                name=f"sam2.1-{size}",
                filename=f"sam2.1_hiera_{stem}.pt",
                base_url=BASE_URL_2_1,
                sha256=sha256,
                n_bytes=n_bytes,
            )
        )
    for size, stem, _, _ in facts_2_1:
        found.append(
            Checkpoint(
                name=f"sam2-{size}",
                filename=f"sam2_hiera_{stem}.pt",
                base_url=BASE_URL_2_0,
            )
        )
    return {checkpoint.name: checkpoint for checkpoint in found}


CHECKPOINTS = _known()


def find_checkpoint(name: str) -> Checkpoint:
    """Return what is known about the checkpoint called `name`.

    Raises
    ------
    ValueError
        If no checkpoint has that name; the message lists those that exist.
    """
    try:
        return CHECKPOINTS[name]
    except KeyError:
        known = ", ".join(CHECKPOINTS)
        raise ValueError(
            f"There is no model called {name!r}. Choose one of: {known}; or give the "
            "path of a checkpoint file."
        ) from None


def models_folder() -> Path:
    """Return the folder downloads go to: $NAPARI_SAM2_MODELS, else the user's cache."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser()
    return Path(platformdirs.user_cache_dir("napari-sam2", appauthor=False)) / "models"


def checkpoint_path(name: str, *, folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the file of the checkpoint `name` on this machine. Downloads nothing.

    Parameters
    ----------
    name : str
        A name of `CHECKPOINTS`.
    folder : path-like, optional
        Where to look; None: `models_folder`. Packaged models are always found.

    Raises
    ------
    ValueError
        If no checkpoint has that name.
    MissingCheckpointError
        If the file is not here; the message says how to get it.
    """
    checkpoint = find_checkpoint(name)
    if checkpoint.packaged:
        path = _PACKAGED / checkpoint.filename
        if not path.is_file():
            raise MissingCheckpointError(
                f"The model {name!r} belongs inside the package but {path} is missing. "
                "Install napari-sam2 again."
            )
        return path
    where = models_folder() if folder is None else Path(folder)
    path = where / checkpoint.filename
    if not path.is_file():
        raise MissingCheckpointError(
            f"The model {name!r} is not on this machine yet. Run "
            f"'napari-sam2 models --download {name}', or put {checkpoint.filename} "
            f"into {where}."
        )
    return path


def download(
    name: str,
    *,
    base_url: str | None = None,
    folder: str | os.PathLike[str] | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Fetch the checkpoint `name`, check its hash, and return its path.

    An interrupted download leaves ``FILE.part``, which the next call continues. The
    file gets its name only after its hash was found right.

    Parameters
    ----------
    name : str
        A name of `CHECKPOINTS`.
    base_url : str, optional
        Other place to take the file from: ``https://``, ``http://`` or ``file://``.
    folder : path-like, optional
        Where to put it; None: `models_folder`. Made if missing.
    sha256 : str, optional
        The expected hash; needed only where none is published.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_in_all_or_None)`` after every block.
        What it raises ends the download and reaches the caller.

    Raises
    ------
    ValueError
        If the name or address is of no known kind, or no hash is known or given.
    DownloadError
        If the place cannot be reached, ends early, or holds another file.
    """
    checkpoint = find_checkpoint(name)
    if checkpoint.packaged:
        return checkpoint_path(name)
    expected = (sha256 or checkpoint.sha256 or "").lower()
    if not expected:
        raise ValueError(
            f"No SHA-256 is published for {checkpoint.filename}. Give the one you "
            f"trust with --sha256 (sha256=...), or use sam2.1-{name.split('-', 1)[1]}."
        )
    where = models_folder() if folder is None else Path(folder)
    place = (base_url or checkpoint.base_url or "").rstrip("/")
    return fetch_file(
        f"{place}/{checkpoint.filename}",
        where / checkpoint.filename,
        sha256=expected,
        progress=progress,
        advice="or give another place with --base-url",
    )
