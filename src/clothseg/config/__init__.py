"""`Config`: every number that describes a network and its training, in one tree that YAML files and overrides fill.

The sections follow the network from the photo to the loss. `docs/config.md` puts the names of the Keras implementation
(`RPN_ANCHOR_SCALES`, ...) beside these.
"""

from clothseg.config.config import Config
from clothseg.config.mask_rcnn import Anchors, Backbone, Boxes, Detect, Losses, MaskHead, Picture, Pyramid, Rpn
from clothseg.config.parsing import preset_names, read_settings
from clothseg.config.section import LAYERS
from clothseg.config.shared import Augment, Change, Stage, Train

__all__ = [
    "LAYERS",
    "Anchors",
    "Augment",
    "Backbone",
    "Boxes",
    "Change",
    "Config",
    "Detect",
    "Losses",
    "MaskHead",
    "Picture",
    "Pyramid",
    "Rpn",
    "Stage",
    "Train",
    "preset_names",
    "read_settings",
]
