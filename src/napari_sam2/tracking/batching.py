"""Work in batches that fit into memory.

How much a batch needs is known only when it runs: other programs use the device too.
So a batch that does not fit is halved, and later ones are made no larger.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T = TypeVar("T")

log = logging.getLogger(__name__)

OUT_OF_MEMORY = (
    "out of memory",  # CUDA, MPS
    "not enough memory",  # the CPU, on Windows
    "can't allocate memory",  # the CPU, on Linux and macOS
    "alloc_failed",  # cuBLAS, cuDNN
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was not enough; torch has no one type."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and any(w in words for w in OUT_OF_MEMORY)


def in_batches(
    groups: Iterable[Sequence[int]],
    compute: Callable[[Sequence[int]], Sequence[T]],
    *,
    limit: int,
) -> tuple[dict[int, T], int]:
    """Compute things group by group, in batches as large as memory allows.

    Parameters
    ----------
    groups
        Indices of things that may be computed together.
    compute
        Takes indices of one group, returns an answer for each. Called again with
        fewer of them when memory was not enough, so it must leave nothing behind.
    limit
        Most things in a batch, at least 1.

    Returns
    -------
    answers, limit
        Answers by index, and the limit that memory allowed, for the next call.

    Raises
    ------
    MemoryError
        When one thing alone does not fit.
    """
    answers: dict[int, T] = {}
    given = limit
    for group in groups:
        start = 0
        while start < len(group):
            batch = group[start : start + limit]
            found = _attempt(compute, batch)
            if found is None:
                limit = len(batch) // 2
                continue
            answers.update(zip(batch, found, strict=True))
            start += len(batch)
    if limit < given:
        log.warning(
            "Memory was not enough for %d objects at a time: computing %d from now on.",
            given,
            limit,
        )
    return answers, limit


def _attempt(
    compute: Callable[[Sequence[int]], Sequence[T]], batch: Sequence[int]
) -> Sequence[T] | None:
    """Compute a batch; None if memory was not enough for several things."""
    if len(batch) == 1:
        with memory_for_one():
            return compute(batch)
    try:
        return compute(batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    # Only here: as long as the error lives, so do the tensors of its frames.
    free_cached_memory()
    return None


@contextlib.contextmanager
def memory_for_one() -> Iterator[None]:
    """Say what to do when there is not enough memory for one object."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        msg = (
            "There is not enough memory for one object: close other programs "
            "that use the device, choose a smaller model, or load the model "
            'with device="cpu".'
        )
        raise MemoryError(msg) from error


def free_cached_memory() -> None:
    """Give memory that torch holds for later use back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # does nothing as long as CUDA was not used
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
