"""The FPN with weights of 1 against hand-computed values; the cells around a cell against `unfold`."""

import torch
import torch.nn.functional as F
from torch import nn

from clothseg.config import FpnSettings
from clothseg.networks.layers.fpn import FeaturePyramid, FpnConventions, level_rows, neighbours_3x3, patches_3x3


def build_fpn(
    levels: tuple[int, ...], channels: list[int], conventions: FpnConventions | None = None
) -> FeaturePyramid:
    """One output channel. Lateral convolutions sum the channels, and output convolutions copy their centre."""
    fpn = FeaturePyramid(channels, FpnSettings(channels=1, levels=levels), conventions=conventions)
    for layer in fpn.modules():
        if isinstance(layer, nn.Conv2d):
            middle = layer.kernel_size[0] // 2
            nn.init.zeros_(layer.weight)
            with torch.no_grad():
                layer.weight[:, :, middle, middle] = 1
    return fpn


def test_coarse_levels_are_added_to_fine_levels() -> None:
    coarse = torch.tensor([[[[10.0, 20]]]])
    fine = torch.arange(16.0).reshape(1, 2, 2, 4)
    with torch.no_grad():
        found = build_fpn((3, 4), [2, 1])([fine, coarse])
    assert found[1].tolist() == coarse.tolist()
    # The two channels add up to 8 10 12 14 and 16 18 20 22; each coarse cell is added to four fine cells.
    assert found[0][0, 0].tolist() == [[18, 20, 32, 34], [26, 28, 40, 42]]


def test_levels_beyond_the_backbone_are_subsampled() -> None:
    feature = torch.arange(20.0).reshape(1, 1, 4, 5)
    with torch.no_grad():
        found = build_fpn((5, 6, 7), [1])([feature])
    assert [level.shape[2:] for level in found] == [(4, 5), (2, 3), (1, 2)]
    assert found[1][0, 0].tolist() == [[0, 2, 4], [10, 12, 14]]
    assert found[2][0, 0].tolist() == [[0, 4]]


def test_fpn_keeps_odd_level_sizes() -> None:
    sizes = [(13, 7), (7, 4), (4, 2)]
    features = [torch.rand(2, 3, *size) for size in sizes]
    found = FeaturePyramid([3, 3, 3], FpnSettings(channels=8, levels=(3, 4, 5), norm="group"))(features)
    assert [level.shape for level in found] == [(2, 8, *size) for size in sizes]


def test_coarse_levels_can_be_interpolated_to_any_size() -> None:
    """Two cells on three: the middle one is their mean."""
    coarse, fine = torch.tensor([[[[10.0, 20]]]]), torch.zeros(1, 1, 2, 3)
    with torch.no_grad():
        found = build_fpn((3, 4), [1, 1], FpnConventions(upsampling="bilinear"))([fine, coarse])
    assert found[0][0, 0].tolist() == [[10, 15, 20], [10, 15, 20]]


def test_levels_can_be_activated_and_followed_by_convolutions_of_stride_2() -> None:
    """The ReLU follows the convolution of a backbone's level, and none that of a further level."""
    feature = torch.arange(20.0).reshape(1, 1, 4, 5) - 10
    fpn = build_fpn((5, 6, 7), [1], FpnConventions(activated=True, extra="convolved"))
    with torch.no_grad():
        for weight in fpn.extra.parameters():
            weight.neg_()
        found = fpn([feature])
    assert found[0][0, 0].tolist() == feature[0, 0].clamp(min=0).tolist()
    assert found[1][0, 0].tolist() == [[0, 0, 0], [0, -2, -4]]
    assert found[2][0, 0].tolist() == [[0, 0]] and [level.shape[2:] for level in found] == [(4, 5), (2, 3), (1, 2)]


def test_patches_match_unfold() -> None:
    """At every cell of two maps, corners and edges among them, for two photos."""
    generator = torch.Generator().manual_seed(1)
    maps = [torch.randn((2, 3, *size), generator=generator) for size in ((4, 5), (1, 2))]
    cells = torch.arange(22).expand(2, -1)
    found = patches_3x3(level_rows(maps), neighbours_3x3([(4, 5), (1, 2)]), cells)
    expected = torch.cat([F.unfold(one, 3, padding=1).transpose(1, 2) for one in maps], dim=1)
    assert torch.equal(found.view(2, 22, 27), expected)


def test_gradients_of_overlapping_cells_are_deterministic() -> None:
    """Several threads sum them. The order must not change the last digits, so that a resumed run is exact."""
    generator = torch.Generator().manual_seed(3)
    feature = torch.randn((2, 32, 40, 40), generator=generator).requires_grad_()
    levels = level_rows([feature])
    cell = torch.randint(0, 1600, (2, 1600), generator=generator)
    neighbours = neighbours_3x3([(40, 40)])
    weights = torch.randn(32 * 9, generator=generator)
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        found = [
            torch.autograd.grad(
                (patches_3x3(levels, neighbours, cell) * weights).sin().sum(), feature, retain_graph=True
            )[0]
            for _ in range(9)
        ]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0], other) for other in found[1:])
