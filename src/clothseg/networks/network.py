"""The contract that every network keeps."""

from abc import abstractmethod

from torch import Tensor, nn

from clothseg.instances import Instances

LOSS_NAMES = ("rpn_class", "rpn_bbox", "class", "bbox", "mask")


class Network(nn.Module):
    """Two methods, not one whose answer changes with `.train()`."""

    @abstractmethod
    def losses(self, images: list[Tensor], targets: list[Instances]) -> dict[str, Tensor]:
        """Losses by name for photos and their truth; `total` is their weighted sum.

        Args:
            images: float RGB `[3, H, W]` in 0..1, of any sizes.
            targets: what is on them, in the photos' own pixels. A photo without instances is welcome.
        """

    @abstractmethod
    def detect(self, images: list[Tensor]) -> list[Instances]:
        """What is on the photos, best first, in their own pixels.

        Args:
            images: float RGB `[3, H, W]` in 0..1, of any sizes.
        """
