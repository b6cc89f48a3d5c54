"""Frozen descriptions of a network: what to build, never how.

References
----------
.. [1] Ravi et al., "SAM 2: Segment Anything in Images and Videos", 2024,
   appendix D (architecture), and Ryali et al., "Hiera", 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class HieraConfig:
    """The image trunk: stages of windowed and global attention blocks.

    Attributes
    ----------
    embed_dim
        Channels of the first stage; doubled at each following stage.
    num_heads
        Attention heads of the first stage; doubled with the channels.
    stages
        Number of blocks in each of the four stages (strides 4, 8, 16, 32).
    global_blocks
        Indices of the blocks that attend over the whole picture.
    windows
        Attention window of each stage, in tokens.
    background_size
        Grid (rows, columns) of the interpolated position embedding.
    """

    embed_dim: int
    num_heads: int
    stages: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    windows: tuple[int, int, int, int] = (8, 4, 14, 7)
    background_size: tuple[int, int] = (7, 7)

    @property
    def stage_dims(self) -> tuple[int, ...]:
        """Channels of each stage, finest first."""
        return tuple(self.embed_dim * 2**i for i in range(len(self.stages)))


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that fixes the shapes and the arithmetic of one SAM 2.

    Attributes
    ----------
    name
        Name of the preset, as the user writes it.
    image_size
        Side S of the square input picture in pixels; a multiple of 32.
    hiera
        The image trunk.
    dim
        Channels C of the image embedding.
    memory_dim
        Channels of a spatial memory; an object pointer is split into
        ``dim // memory_dim`` tokens of this width.
    memory_layers, memory_ff
        Layers of memory attention and width of their feed-forward part.
    decoder_heads, decoder_ff
        Heads and feed-forward width of the two-way transformer.
    prompt_mask_channels
        Width of the mask-prompt stem.
    num_memories
        Spatial memories attended to: one slot for prompted frames and
        ``num_memories - 1`` recent frames (paper, section 4). Fixes the shape of the
        temporal encoding.
    recent_memories
        Recent frames whose spatial memories are attended to, the nearest ones, from 0
        to ``num_memories - 1``. Fewer are quicker; no weight depends on it.
    max_pointers
        Most object pointers attended to.
    occlusion_embedding
        SAM 2.1: add a learned embedding to the memory of an absent object.
    pointer_time_encoding
        SAM 2.1: object pointers carry their signed distance in frames.
    dense_prompts
        Ours (``nano``): clicks and boxes are drawn as maps and the previous
        frame's mask logits are given as a dense prompt. False for Meta's.

    Raises
    ------
    ValueError
        If there are more recent memories than the weights know, or less than none.
    """

    name: str
    image_size: int = 1024
    hiera: HieraConfig
    dim: int = 256
    memory_dim: int = 64
    memory_layers: int = 4
    memory_ff: int = 2048
    decoder_heads: int = 8
    decoder_ff: int = 2048
    prompt_mask_channels: int = 16
    num_memories: int = 7
    recent_memories: int = 6
    max_pointers: int = 16
    occlusion_embedding: bool = True
    pointer_time_encoding: bool = True
    dense_prompts: bool = False

    def __post_init__(self) -> None:
        """Check that the temporal encoding has a row for every memory."""
        if not 0 <= self.recent_memories < self.num_memories:
            msg = (
                f"recent_memories must be from 0 to {self.num_memories - 1}, "
                f"not {self.recent_memories}."
            )
            raise ValueError(msg)

    @property
    def embedding_size(self) -> int:
        """Side of the image embedding in tokens (stride 16)."""
        return self.image_size // 16

    @property
    def low_res_size(self) -> int:
        """Side of the low-resolution masks in pixels (stride 4)."""
        return self.image_size // 4


_HIERA: dict[str, HieraConfig] = {
    "tiny": HieraConfig(
        embed_dim=96, num_heads=1, stages=(1, 2, 7, 2), global_blocks=(5, 7, 9)
    ),
    "small": HieraConfig(
        embed_dim=96, num_heads=1, stages=(1, 2, 11, 2), global_blocks=(7, 10, 13)
    ),
    "base-plus": HieraConfig(
        embed_dim=112,
        num_heads=2,
        stages=(2, 3, 16, 3),
        global_blocks=(12, 16, 20),
        background_size=(14, 14),
    ),
    "large": HieraConfig(
        embed_dim=144,
        num_heads=2,
        stages=(2, 6, 36, 4),
        global_blocks=(23, 33, 43),
        windows=(8, 4, 16, 8),
    ),
}

_NANO = ModelConfig(
    name="nano",
    image_size=256,
    hiera=HieraConfig(
        embed_dim=48,
        num_heads=1,
        stages=(2, 3, 4, 1),
        global_blocks=(6, 8),
        windows=(8, 8, 16, 8),
    ),
    dim=128,
    memory_dim=32,
    memory_layers=2,
    memory_ff=512,
    decoder_heads=4,
    decoder_ff=512,
    prompt_mask_channels=64,
    dense_prompts=True,
)


def _official(version: str, size: str) -> ModelConfig:
    newer = version == "sam2.1"
    return ModelConfig(
        name=f"{version}-{size}",
        hiera=_HIERA[size],
        occlusion_embedding=newer,
        pointer_time_encoding=newer,
    )


PRESETS: dict[str, ModelConfig] = {
    "nano": _NANO,
    **{
        f"{version}-{size}": _official(version, size)
        for version in ("sam2.1", "sam2")
        for size in _HIERA
    },
}


# Other spellings that users try.
_ALIASES: dict[str, str] = {
    alias: f"sam2.1-{size}"
    for size in _HIERA
    for alias in (size, size.replace("-", "_"), f"sam2.1_{size.replace('-', '_')}")
}


def preset(name: str, *, image_size: int | None = None) -> ModelConfig:
    """Return the configuration called `name`.

    Parameters
    ----------
    name
        ``"nano"``, ``"sam2.1-tiny"`` … ``"sam2.1-large"``, ``"sam2-tiny"`` …;
        ``"tiny"`` alone means SAM 2.1.
    image_size
        Another input side in pixels, a multiple of 32; None keeps the preset's.

    Raises
    ------
    ValueError
        If there is no such preset, or the side is not a positive multiple of 32.
    """
    config = PRESETS.get(_ALIASES.get(name, name))
    if config is None:
        msg = f"There is no model named {name!r}; choose one of {', '.join(PRESETS)}."
        raise ValueError(msg)
    return resized(config, image_size)


def resized(config: ModelConfig, image_size: int | None) -> ModelConfig:
    """Return a configuration for another input side in pixels; None keeps it.

    Raises
    ------
    ValueError
        If the side is not a positive multiple of 32.
    """
    if image_size is None:
        return config
    if image_size <= 0 or image_size % 32:
        msg = f"image_size must be a positive multiple of 32, not {image_size}."
        raise ValueError(msg)
    return replace(config, image_size=image_size)
