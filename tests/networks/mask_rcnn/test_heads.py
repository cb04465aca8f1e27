"""The mask and box heads: outputs for one class and for all classes."""

import torch

from clothseg.config import BoxHeadSettings, MaskHeadSettings
from clothseg.networks.mask_rcnn.heads import BoxHead, MaskHead


def test_forward_for_class_matches_the_row_of_that_class() -> None:
    torch.manual_seed(0)
    head = MaskHead(MaskHeadSettings(channels=8, num_conv=1), 16, 3)
    pooled, classes = torch.rand(5, 16, 14, 14), torch.tensor([1, 3, 2, 2, 0])
    all_masks = head(pooled)
    torch.testing.assert_close(
        head.forward_for_class(pooled, classes), all_masks[torch.arange(5), classes], atol=1e-5, rtol=1e-5
    )
    assert head.forward_for_class(pooled[:0], classes[:0]).shape == (0, 28, 28)


def test_the_box_head_returns_deltas_for_every_class() -> None:
    head = BoxHead(BoxHeadSettings(num_conv=1, norm="group", fc_dim=16, num_fc=1), 8, 3)
    with torch.no_grad():
        head.delta.weight.zero_()
        head.delta.bias.copy_(torch.arange(16.0))
        logits, deltas = head(torch.rand(2, 8, 7, 7))
    assert logits.shape == (2, 4)
    assert deltas[1].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
