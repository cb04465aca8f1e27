"""Settings of a network and its training: one immutable tree, filled from YAML files and overrides.

`config.py` has the tree, `shared.py`, `augment.py` and `train.py` its shared sections, and one file per network the
section `network`; `parsing.py` reads files and presets, `renamed.py` knows the keys of earlier versions. It needs no
PyTorch. `docs/config.md` lists every setting, and the upper-case names of the Keras implementation beside them.
"""

from clothseg.config.augment import AugmentSettings, Strength
from clothseg.config.config import NETWORK_SETTINGS, Config
from clothseg.config.deeplab import (
    AsppSettings,
    CenterSettings,
    ComponentSettings,
    DecoderSettings,
    DeepLabLossWeights,
    DeepLabSettings,
    PixelLossSettings,
    SemanticHeadSettings,
)
from clothseg.config.mask_rcnn import (
    BoxHeadSettings,
    LossWeights,
    MaskHeadSettings,
    MaskRCNNSettings,
    MaskRefinementSettings,
    RpnSettings,
)
from clothseg.config.parsing import deep_merge, override, preset_meanings, preset_names, read_settings
from clothseg.config.section import TRAINABLE, Section
from clothseg.config.shared import (
    AnchorSettings,
    BackboneSettings,
    FpnSettings,
    InferenceSettings,
    InputSettings,
    NetworkSettings,
    PyramidSettings,
)
from clothseg.config.teacher import BoxLabelSettings, TeacherSettings, UnlabelledSettings
from clothseg.config.train import HEADLINE_METRICS, StageSettings, TrainSettings
from clothseg.config.yolact import (
    PrototypeSettings,
    SelectionSettings,
    YolactAnchorSettings,
    YolactHeadSettings,
    YolactSettings,
)

__all__ = [
    "HEADLINE_METRICS",
    "NETWORK_SETTINGS",
    "TRAINABLE",
    "AnchorSettings",
    "AsppSettings",
    "AugmentSettings",
    "BackboneSettings",
    "BoxHeadSettings",
    "BoxLabelSettings",
    "CenterSettings",
    "ComponentSettings",
    "Config",
    "DecoderSettings",
    "DeepLabLossWeights",
    "DeepLabSettings",
    "FpnSettings",
    "InferenceSettings",
    "InputSettings",
    "LossWeights",
    "MaskHeadSettings",
    "MaskRCNNSettings",
    "MaskRefinementSettings",
    "NetworkSettings",
    "PixelLossSettings",
    "PrototypeSettings",
    "PyramidSettings",
    "RpnSettings",
    "Section",
    "SelectionSettings",
    "SemanticHeadSettings",
    "StageSettings",
    "Strength",
    "TeacherSettings",
    "TrainSettings",
    "UnlabelledSettings",
    "YolactAnchorSettings",
    "YolactHeadSettings",
    "YolactSettings",
    "deep_merge",
    "override",
    "preset_meanings",
    "preset_names",
    "read_settings",
]
