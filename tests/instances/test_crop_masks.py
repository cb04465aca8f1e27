"""`CropMasks` answers as `PixelMasks` does."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from clothseg.instances import CropMasks, PixelMasks, each_mask

STACKS = st.tuples(st.integers(0, 4), st.integers(1, 9), st.integers(1, 9)).flatmap(lambda shape: arrays(bool, shape))


def cut(stack: NDArray[np.bool_]) -> CropMasks:
    return CropMasks.cut(iter(stack), (stack.shape[1], stack.shape[2]))


@given(STACKS, st.data())
def test_it_answers_as_pixels_do(stack: NDArray[np.bool_], data: st.DataObject) -> None:
    crops, pixels = cut(stack), PixelMasks(torch.from_numpy(stack))
    assert len(crops) == len(pixels)
    assert torch.equal(crops.pixels(), pixels.pixels())
    assert torch.equal(crops.boxes(), pixels.boxes())
    assert crops.rle() == pixels.rle()
    assert torch.equal(crops.soft(slice(0, 1), slice(1, None)), pixels.soft(slice(0, 1), slice(1, None)))
    assert (crops.union() == stack.any(axis=0)).all()
    chosen = torch.tensor(data.draw(st.lists(st.integers(0, len(stack) - 1), max_size=3)) if len(stack) else [])
    assert torch.equal(crops.select(chosen.long()).pixels(), pixels.select(chosen.long()).pixels())
    assert torch.equal(crops.joined(crops).pixels(), torch.cat([pixels.pixels()] * 2))
    assert [mask.tolist() for mask in each_mask(crops)] == stack.tolist()
