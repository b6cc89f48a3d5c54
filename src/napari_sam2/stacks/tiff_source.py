"""TIFF and OME-TIFF, one page at a time.

Contiguous data are mapped for the length of one read, so that pages seen
earlier do not count as this process's memory; others are decoded page by page.
"""

import itertools
import math
import struct
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_sam2.stacks.errors import FrameReadError, StackError
from napari_sam2.stacks.metadata import Steps, imagej_info, ome_xml_info
from napari_sam2.stacks.source import Index, Info, short_name

__all__ = ["TiffSource"]


class TiffSource:
    """The first series of a TIFF file.

    Parameters
    ----------
    path : Path
        TIFF, BigTIFF, ImageJ hyperstack or OME-TIFF.

    Raises
    ------
    StackError
        When the file is no TIFF, or cut short.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._tiff = tifffile.TiffFile(path)
        except (tifffile.TiffFileError, struct.error, ValueError) as error:
            raise StackError(
                f"{path.name} is not a readable TIFF file ({_first_line(error)}); "
                "check that it was copied whole and carries the right ending."
            ) from error
        # Not __del__: this also runs when opening fails further down.
        self._finish = weakref.finalize(self, self._tiff.close)
        try:
            self._series = self._first_series()
            self.shape = tuple(int(n) for n in self._series.shape)
            self.dtype = np.dtype(self._series.dtype).newbyteorder("=")
            self._check_whole()
            self.info = self._read_info()
        except BaseException:
            self.close()
            raise

    def read(self, index: Index) -> NDArray[Any]:
        """Read the part at `index`: only the pages it touches."""
        if self._series.dataoffset is not None:
            return self._read_mapped(index)
        n_leading = self._n_leading()
        leading, inside = index[:n_leading], index[n_leading:]
        picked = [
            range(*where.indices(length)) if isinstance(where, slice) else [where]
            for where, length in zip(leading, self.shape, strict=False)
        ]
        parts = []
        for position in itertools.product(*picked):
            number = 0
            for at, length in zip(position, self.shape, strict=False):
                number = number * length + at
            parts.append(self._read_page(number)[inside])
        kept = [
            len(p)
            for p, where in zip(picked, leading, strict=True)
            if isinstance(where, slice)
        ]
        if not kept:
            return parts[0]
        return np.stack(parts).reshape(*kept, *parts[0].shape)

    def close(self) -> None:
        """Close the file."""
        self._finish()

    def _first_series(self) -> tifffile.TiffPageSeries:
        try:
            series = self._tiff.series
        except (ValueError, IndexError, KeyError, struct.error) as error:
            raise StackError(
                f"{self._path.name} is a damaged TIFF file ({_first_line(error)}); "
                "copy or export it again."
            ) from error
        if not series or series[0].dtype is None:
            raise StackError(
                f"{self._path.name} is a TIFF file without pictures; copy or export "
                "it again."
            )
        return series[0]

    def _n_leading(self) -> int:
        """Count the axes that are spread over pages."""
        page = math.prod(self._series.keyframe.shape)
        for n_leading in range(len(self.shape), -1, -1):
            if math.prod(self.shape[n_leading:]) == page:
                # Axes of length one belong to the page only if they must.
                return n_leading
        raise FrameReadError(
            f"The pages of {self._path.name} do not add up to its shape "
            f"{self.shape}; export it again."
        )

    def _read_mapped(self, index: Index) -> NDArray[Any]:
        stored = np.dtype(self._series.dtype).newbyteorder(self._tiff.byteorder)
        mapped = np.memmap(
            self._path, stored, "r", int(self._series.dataoffset or 0), self.shape
        )
        return np.array(mapped[index], dtype=self.dtype)

    def _read_page(self, number: int) -> NDArray[Any]:
        page_shape = self.shape[self._n_leading() :]
        with self._lock:
            if not self._finish.alive:
                raise FrameReadError(
                    f"{self._path.name} has been closed; open it again to read it."
                )
            page = self._series.pages[number]
            if page is None:
                raise FrameReadError(
                    f"{self._path.name} names a picture {number} but does not hold "
                    "it; put the other files of the series beside it, or export again."
                )
            # The files of a multi-file OME-TIFF are opened for one read each.
            other = page.parent is not self._tiff
            if other:
                page.parent.filehandle.open()
            try:
                data = self._decode(page)
            finally:
                if other:
                    page.parent.filehandle.close()
        if data.size != math.prod(page_shape):
            raise FrameReadError(
                f"Picture {number} of {self._path.name} has shape {data.shape} "
                f"instead of {page_shape}; export the file again."
            )
        return np.asarray(data, dtype=self.dtype).reshape(page_shape)

    def _decode(self, page: tifffile.TiffPage | tifffile.TiffFrame) -> NDArray[Any]:
        try:
            return np.asarray(page.asarray(maxworkers=1))
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            # tifffile alone has no LZW or JPEG; Pillow brings both.
            return _decode_with_pillow(page, error)

    def _check_whole(self) -> None:
        try:
            cut_short = self._ends_early() or self._promises_more_pages()
        except (ValueError, IndexError, struct.error):  # half a table of pages
            cut_short = True
        if cut_short:
            raise StackError(
                f"{self._path.name} is cut short: it ends at "
                f"{self._tiff.filehandle.size} bytes, before its last picture; copy "
                "or export it again."
            )

    def _ends_early(self) -> bool:
        """Tell whether the last picture's data lie beyond the end of the file."""
        series, size = self._series, self._tiff.filehandle.size
        if series.dataoffset is not None:
            return series.dataoffset + series.nbytes > size
        last = series.pages[len(series.pages) - 1]
        if last is None or last.parent is not self._tiff:
            return False
        ends = map(sum, zip(last.dataoffsets, last.databytecounts, strict=False))
        return max(ends, default=0) > size

    def _promises_more_pages(self) -> bool:
        """Tell whether the chain of pages leads beyond the end of the file."""
        handle, header = self._tiff.filehandle, self._tiff.tiff
        said = (self._tiff.imagej_metadata or {}).get("images", 1)
        if isinstance(said, int) and said > 1 and len(self._series.pages) == 1:
            return math.prod(self.shape) < said * self._series.keyframe.size
        at = self._tiff.pages[-1].offset
        handle.seek(at)
        count = struct.unpack(header.tagnoformat, handle.read(header.tagnosize))[0]
        handle.seek(at + header.tagnosize + count * header.tagsize)
        following = handle.read(header.offsetsize)
        if len(following) < header.offsetsize:
            return True
        return bool(struct.unpack(header.offsetformat, following)[0] >= handle.size)

    def _read_info(self) -> Info:
        scale, units = self._steps()
        axes = str(self._series.axes)
        return Info(
            name=short_name(self._path),
            axes=axes,
            scale=scale,
            units=units,
            coloured="S" in axes,
        )

    def _steps(self) -> Steps:
        if self._tiff.is_ome and self._tiff.ome_metadata:
            return ome_xml_info(self._tiff.ome_metadata)
        if self._tiff.is_imagej and self._tiff.imagej_metadata:
            page = self._tiff.pages[0]
            per_unit = []
            for name in ("XResolution", "YResolution"):
                tag = (
                    page.tags.get(name) if isinstance(page, tifffile.TiffPage) else None
                )
                numerator, denominator = tag.value if tag is not None else (0, 1)
                per_unit.append(numerator / denominator if denominator else 0.0)
            return imagej_info(self._tiff.imagej_metadata, (per_unit[0], per_unit[1]))
        return {}, {}


def _decode_with_pillow(
    page: tifffile.TiffPage | tifffile.TiffFrame, error: ValueError
) -> NDArray[Any]:
    try:
        with Image.open(page.parent.filehandle.path) as picture:
            picture.seek(page.index)
            return np.array(picture)
    except (OSError, ValueError, EOFError) as second:
        raise FrameReadError(
            f"{page.parent.filehandle.name} is compressed in a way that needs a "
            "decoder; install it with: pip install imagecodecs"
        ) from (error if isinstance(second, EOFError) else second)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
