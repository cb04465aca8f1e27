"""Weights: reads files of several programs, converts them to our tensor names, and fills networks.

`load.py` is the path from a file to a network, `load_model.py` adds settings and classes. `files/` has the containers,
`formats/` the origins. `catalogue.py` lists published files.
"""

from clothseg.weights.catalogue import PUBLISHED, Published, cache_folder, fetch, published
from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.formats.efficientnet_lite import BUNDLED, timm_names
from clothseg.weights.formats.native import SavedNetwork, read_network, write_network
from clothseg.weights.formats.torchvision import from_torchvision
from clothseg.weights.load import LoadReport, load_converted, load_initial_weights, read_weights
from clothseg.weights.load_model import LoadedModel, config_of, convert_weights, load_model

__all__ = [
    "BUNDLED",
    "PUBLISHED",
    "ConvertedWeights",
    "LoadReport",
    "LoadedModel",
    "Published",
    "SavedNetwork",
    "cache_folder",
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
    "write_network",
]
