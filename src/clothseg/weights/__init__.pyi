from .catalogue import INSTALLED, PUBLISHED, Published, cache_folder, check_source, fetch, published
from .check import check_model, weights_file
from .converted import ConvertedWeights, LoadReport
from .formats.efficientnet_lite import BUNDLED, timm_names
from .formats.native import SavedNetwork, read_network, write_network
from .formats.torchvision import from_torchvision
from .load import load_converted, load_initial_weights, read_weights
from .loaded_model import LoadedModel, config_of, convert_weights, load_model

__all__ = [
    "BUNDLED",
    "INSTALLED",
    "PUBLISHED",
    "ConvertedWeights",
    "LoadReport",
    "LoadedModel",
    "Published",
    "SavedNetwork",
    "cache_folder",
    "check_model",
    "check_source",
    "config_of",
    "convert_weights",
    "fetch",
    "from_torchvision",
    "load_converted",
    "load_initial_weights",
    "load_model",
    "published",
    "read_network",
    "read_weights",
    "timm_names",
    "weights_file",
    "write_network",
]
