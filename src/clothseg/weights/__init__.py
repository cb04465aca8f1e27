"""Weights: files and names of others into our state dict, with a report of every key."""

from clothseg.weights.catalogue import PUBLISHED, Published, cache_folder, fetch, published
from clothseg.weights.converted import Reading
from clothseg.weights.formats.efficientnet_lite import BUNDLED, timm_names
from clothseg.weights.formats.native import SavedNetwork, read_network, write_network
from clothseg.weights.formats.torchvision import from_torchvision
from clothseg.weights.load import LoadReport, load_reading, load_start, load_tensors
from clothseg.weights.load_model import OpenedNetwork, config_of, convert_weights, open_network
from clothseg.weights.read import read_weights

__all__ = [
    "BUNDLED",
    "PUBLISHED",
    "LoadReport",
    "OpenedNetwork",
    "Published",
    "Reading",
    "SavedNetwork",
    "cache_folder",
    "config_of",
    "convert_weights",
    "fetch",
    "from_torchvision",
    "load_reading",
    "load_start",
    "load_tensors",
    "open_network",
    "published",
    "read_network",
    "read_weights",
    "timm_names",
    "write_network",
]
