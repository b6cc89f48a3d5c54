"""How a step is computed."""

from __future__ import annotations

import pytest
import torch

from napari_sam2.training import descent
from napari_sam2.training.descent import arithmetic

CPU = torch.device("cpu")


@pytest.mark.parametrize("native", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("wanted", [False, True])
def test_bfloat16_is_never_emulated(
    monkeypatch: pytest.MonkeyPatch, native: torch.dtype, wanted: bool
) -> None:
    monkeypatch.setattr(descent, "fastest_dtype", lambda _: native)
    x = torch.ones(4, 4)
    with arithmetic(CPU, bf16=wanted):
        found = (x @ x).dtype
    assert found == (native if wanted else torch.float32)
    assert (x @ x).dtype == torch.float32
