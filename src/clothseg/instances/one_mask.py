"""One mask of several, with torch or without: for what works with both."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clothseg.instances.array_masks import ArrayMasks

if TYPE_CHECKING:  # it needs torch
    from clothseg.instances.masks import Masks


def one_mask(masks: "Masks | ArrayMasks", position: int) -> "Masks | ArrayMasks":
    """The mask at a position alone, with torch or without."""
    if isinstance(masks, ArrayMasks):
        return masks.select([position])
    import torch  # noqa: PLC0415 - the masks have it

    return masks.select(torch.tensor([position]))


def one_pixels(masks: "Masks | ArrayMasks", position: int) -> NDArray[np.bool_]:
    """The pixels `[H, W]` of the mask at a position."""
    pixels: NDArray[np.bool_] = to_array(one_mask(masks, position).pixels())[0]
    return pixels


def to_array(values: Any) -> NDArray[Any]:
    """An array or a tensor on any device as an array."""
    return values if isinstance(values, np.ndarray) else np.asarray(values.detach().cpu().numpy())
