"""Crop and resize against hand-computed values, and all levels at once against one map after the other."""

import torch

from clothseg.networks.layers.crop_and_resize import crop_and_resize, crop_and_resize_levels
from clothseg.networks.layers.fpn import LevelRows, level_rows


def test_crop_and_resize_matches_hand_computed_values() -> None:
    feature = torch.arange(20.0).reshape(1, 1, 4, 5)
    whole = crop_and_resize(feature, torch.tensor([0]), torch.tensor([[0.0, 0, 1, 1]]), 3)
    assert whole[0, 0].tolist() == [[0, 2, 4], [7.5, 9.5, 11.5], [15, 17, 19]]
    beyond = crop_and_resize(feature, torch.tensor([0]), torch.tensor([[-0.5, 0, 0.5, 1]]), 3)
    assert beyond[0, 0].tolist() == [[0, 0, 2], [0, 7.5, 9.5], [0, 15, 17]]


def test_crop_and_resize_of_many_boxes_matches_single_boxes() -> None:
    generator = torch.Generator().manual_seed(4)
    feature, boxes = torch.rand((2, 3, 9, 7), generator=generator), torch.rand((600, 4), generator=generator)
    photo = torch.arange(600) % 2
    found = crop_and_resize(feature, photo, boxes, 7)
    assert found.shape == (600, 3, 7, 7)
    for row in (0, 255, 256, 599):
        alone = crop_and_resize(feature, photo[row : row + 1], boxes[row : row + 1], 7)
        assert torch.equal(found[row], alone[0])


def test_all_levels_at_once_match_one_map_after_the_other() -> None:
    """Boxes across each edge, without extent, and one that ends at 1.0; values and gradients."""
    generator = torch.Generator().manual_seed(2)
    features = [torch.randn((2, 5, *size), generator=generator).requires_grad_() for size in ((12, 17), (6, 9), (1, 1))]
    corners = torch.rand((90, 2), generator=generator) * 1.2 - 0.1
    boxes = torch.cat([corners, corners + torch.rand((90, 2), generator=generator)], dim=1)
    boxes[:4] = torch.tensor([[0.0, 0, 1, 1], [0.3, 0.3, 0.3, 0.3], [-1, -1, -0.5, -0.5], [0.1, 0.2, 1, 0.9]])
    photo, index = torch.arange(90) % 2, torch.arange(90) % 3
    expected = torch.zeros((90, 5, 7, 7))
    for number, feature in enumerate(features):
        here = torch.where(index == number)[0]
        expected = expected.index_copy(0, here, crop_and_resize(feature, photo[here], boxes[here], 7))
    found = crop_and_resize_levels(level_rows(features), index, photo, boxes, 7)
    torch.testing.assert_close(found, expected, atol=5e-6, rtol=0)
    gradients = [torch.autograd.grad(answer.sin().sum(), features) for answer in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-5)


def test_one_level_needs_no_row_beyond_its_cells() -> None:
    masks = (torch.rand((4, 8, 6), generator=torch.Generator().manual_seed(1)) > 0.5).float()
    boxes, which = torch.tensor([[0.0, 0, 1, 1], [0.2, 0.1, 0.7, 1.3], [0.5, 0.5, 0.9, 0.6]]), torch.tensor([3, 0, 2])
    found = crop_and_resize_levels(LevelRows(masks.flatten(1)[..., None], ((8, 6),)), which, which, boxes, 5)
    torch.testing.assert_close(found, crop_and_resize(masks[:, None], which, boxes, 5), atol=1e-6, rtol=0)
