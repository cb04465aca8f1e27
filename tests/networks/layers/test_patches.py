"""The cells around a cell, against `unfold`, and their gradient."""

import torch
import torch.nn.functional as F

from clothseg.networks.layers.patches import level_rows, neighbours_3x3, patches_3x3


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
