"""Run-length encodings of masks that lie on a GPU, with few reads: only where runs begin is copied to the processor."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clothseg.instances.rle import Rle, from_segmentation


def run_starts(pixels: Tensor) -> Tensor:
    """Where runs begin in masks `[N, H, W]` bool, down the columns: `[N, ceil(H * W / 8)]` uint8, one bit per pixel.

    The first bit of a byte is the lowest. The first pixel of a mask begins a run if it is set.
    """
    along = pixels.transpose(1, 2).flatten(1)
    starts = along.clone()
    starts[:, 1:] ^= along[:, :-1]
    padded = F.pad(starts.to(torch.uint8), (0, -starts.shape[1] % 8))
    bits = padded.view(len(padded), padded.shape[1] // 8, 8)
    places = torch.arange(8, dtype=torch.uint8, device=pixels.device)
    packed: Tensor = (bits << places).sum(dim=2, dtype=torch.uint8)
    return packed


def encode_starts(starts: Sequence[Tensor], sizes: Sequence[tuple[int, int]]) -> list[list[Rle]]:
    """Encodes the masks of several photos. A GPU is waited for twice, whatever their number.

    Args:
        starts: of each photo, as `run_starts` gives them.
        sizes: height and width of each photo.
    """
    packed = torch.cat([photo.flatten() for photo in starts])
    place = packed.nonzero()[:, 0]
    copied = torch.stack([place, packed[place].long()]).cpu().numpy()
    rows, bit = np.nonzero(np.unpackbits(copied[1].astype(np.uint8)[:, None], axis=1, bitorder="little"))
    position = copied[0][rows] * 8 + bit
    answer: list[list[Rle]] = []
    first = 0
    for photo, (height, width) in zip(starts, sizes, strict=True):
        count, stride = photo.shape[0], photo.shape[1] * 8
        ends = np.searchsorted(position, first + np.arange(count + 1) * stride)
        answer.append([])
        for number in range(count):
            begins = position[ends[number] : ends[number + 1]] - (first + number * stride)
            runs = np.diff(begins, prepend=0, append=height * width).tolist()
            answer[-1].append(from_segmentation({"size": [height, width], "counts": runs}, height, width))
        first += count * stride
    return answer
