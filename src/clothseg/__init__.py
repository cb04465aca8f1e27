"""clothseg: garments cut out of photos pixel by pixel."""

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ClothsegError
from clothseg.instances import Instances
from clothseg.models import MaskRCNN

__version__ = "0.1.0"
__all__ = ["ClothsegError", "CocoLikeDataset", "Config", "Instances", "MaskRCNN", "__version__"]
