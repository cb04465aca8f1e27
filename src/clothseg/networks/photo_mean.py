"""The mean of features over a photo, without the padding around it."""

import math

from torch import Tensor

from clothseg.networks.placement import InputPlacement


def photo_mean(features: Tensor, placement: InputPlacement) -> Tensor:
    """`[C]` float on the CPU: the mean of the cells that the photo touches.

    Args:
        features: `[C, h, w]`, over the whole padded input.
        placement: where the photo lies in it.
    """
    top, left, height, width = placement.region
    rows, columns = features.shape[1:]
    of_rows = slice(int(top * rows), math.ceil((top + height) * rows))
    of_columns = slice(int(left * columns), math.ceil((left + width) * columns))
    return features[:, of_rows, of_columns].float().mean((1, 2)).cpu()
