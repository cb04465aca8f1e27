"""The anchors of the last inputs, and what a step needs of them."""

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

from clothseg.config import AnchorSettings
from clothseg.devices import WITHOUT_FLOAT64
from clothseg.networks.input import to_network_coords
from clothseg.networks.input_size import Size
from clothseg.networks.layers.anchors import make_anchors
from clothseg.networks.mask_rcnn.conventions import Conventions
from clothseg.networks.tensor_cache import TensorCache
from clothseg.networks.transfer import to_device


class CachedAnchors:
    """Anchors, kept for the sizes of the last inputs.

    Args:
        settings: scales and ratios.
        levels: the FPN levels, as powers of two of their strides, finest first.
        conventions: the arithmetic to follow.
    """

    def __init__(self, settings: AnchorSettings, levels: tuple[int, ...], conventions: Conventions) -> None:
        self.settings, self.levels, self.conventions = settings, levels, conventions
        self._exact, self._derived = TensorCache(4), TensorCache(4)

    def exact(self, sizes: Sequence[Size], padded: Size, device: torch.device) -> Tensor:
        """Anchors `[N, 4]` float64 of all levels, in pixels of the input; on the CPU if `device` has no float64.

        Args:
            sizes: height and width of each level.
            padded: height and width of the input.
            device: of the network.
        """
        place = torch.device("cpu") if device.type in WITHOUT_FLOAT64 else device

        def make() -> tuple[Tensor, ...]:
            levels = make_anchors(self.settings, self.levels, [*sizes], padded, self.conventions.anchors)
            return (to_device(torch.cat(levels), place),)

        return self._exact.get((tuple(sizes), padded, place), make)[0]

    def in_network_coords(self, anchors: Tensor, padded: Size, device: torch.device) -> Tensor:
        """Anchors in network coordinates `[N, 4]` float32, from `exact` ones."""
        conventions = self.conventions.input
        return self._derive(
            anchors, (padded, device), lambda: to_network_coords(anchors, padded, conventions).to(device)
        )

    def in_pixels(self, anchors: Tensor, device: torch.device) -> Tensor:
        """Anchors `[N, 4]` as float32, from `exact` ones."""
        return self._derive(anchors, device, lambda: anchors.float().to(device))

    def _derive(self, anchors: Tensor, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """What `make` computes from anchors. The cache holds them too, so that no others get the same id."""
        return self._derived.get((id(anchors), key), lambda: (anchors, make()))[1]
