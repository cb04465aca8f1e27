from .config import Config
from .dataset import CocoLikeDataset
from .errors import ClothsegError
from .instances import Instances
from .models import DeepLab, MaskRCNN, Yolact

__version__: str

__all__ = ["ClothsegError", "CocoLikeDataset", "Config", "DeepLab", "Instances", "MaskRCNN", "Yolact", "__version__"]
