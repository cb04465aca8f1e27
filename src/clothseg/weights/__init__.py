"""Weights: files and names of others into our state dict, with a report of every key."""

from clothseg.weights.efficientnet_lite import bundled_efficientnet_lite0, timm_names
from clothseg.weights.load import LoadReport, load_start, load_tensors
from clothseg.weights.own import SavedNetwork, read_network, write_network
from clothseg.weights.torchvision import from_torchvision

__all__ = [
    "LoadReport",
    "SavedNetwork",
    "bundled_efficientnet_lite0",
    "from_torchvision",
    "load_start",
    "load_tensors",
    "read_network",
    "timm_names",
    "write_network",
]
