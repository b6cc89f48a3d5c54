"""The decoder's two-way transformer: tokens and picture attend to each other.

Shapes: O objects, N tokens, M picture cells, C channels, h heads, D head width.
(Kirillov et al., "Segment Anything", appendix A.)
"""

from __future__ import annotations

from torch import Tensor, nn

from napari_sam2.model.attention import attend
from napari_sam2.model.layers import MLP


class Attention(nn.Module):
    """Multi-head attention that may work at a fraction of the channels."""

    def __init__(self, dim: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        self.heads = heads
        inner = dim // downsample
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend (O, N, C) to (O, M, C); return (O, N, C)."""
        q, k, v = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (O, h, ·, D)
            for x in (self.q_proj(q), self.k_proj(k), self.v_proj(v))
        )
        x = attend(q, k, v)
        out: Tensor = self.out_proj(x.transpose(1, 2).flatten(2))
        return out


class TwoWayBlock(nn.Module):
    """Tokens to tokens, tokens to picture, MLP, picture to tokens."""

    def __init__(self, dim: int, heads: int, ff: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, heads, 2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, ff, dim)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, heads, 2)

    def forward(
        self, tokens: Tensor, cells: Tensor, token_pos: Tensor, cell_pos: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Update (O, N, C) tokens and (O, M, C) cells."""
        if self.first:  # the tokens still are their own positions
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + token_pos
            tokens = tokens + self.self_attn(q, q, tokens)
        tokens = self.norm1(tokens)
        cell_keys = cells + cell_pos
        tokens = self.norm2(
            tokens
            + self.cross_attn_token_to_image(tokens + token_pos, cell_keys, cells)
        )
        tokens = self.norm3(tokens + self.mlp(tokens))
        cells = self.norm4(
            cells
            + self.cross_attn_image_to_token(cell_keys, tokens + token_pos, tokens)
        )
        return tokens, cells


class TwoWayTransformer(nn.Module):
    """Two blocks and a last look of the tokens at the picture."""

    def __init__(self, dim: int, heads: int, ff: int, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayBlock(dim, heads, ff, first=i == 0) for i in range(depth)
        )
        self.final_attn_token_to_image = Attention(dim, heads, 2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(
        self, tokens: Tensor, cells: Tensor, cell_pos: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return updated (O, N, C) tokens and (O, M, C) cells."""
        token_pos = tokens
        for layer in self.layers:
            tokens, cells = layer(tokens, cells, token_pos, cell_pos)
        seen = self.final_attn_token_to_image(
            tokens + token_pos, cells + cell_pos, cells
        )
        return self.norm_final_attn(tokens + seen), cells
