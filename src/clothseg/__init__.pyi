from .config import Config
from .dataset import CocoLikeDataset
from .errors import ClothsegError
from .instances import Instances
from .models import DeepLab, MaskRCNN

__version__: str

__all__ = ["ClothsegError", "CocoLikeDataset", "Config", "DeepLab", "Instances", "MaskRCNN", "__version__"]
