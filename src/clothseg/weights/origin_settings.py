"""Settings files of the origins: Matterport's upper-case names and detectron2's tree, converted to our settings.

Keys without a setting of ours are ignored.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clothseg.config import Config, deep_merge, override, read_settings
from clothseg.errors import ConfigError

Tree = dict[str, Any]

MATTERPORT = {
    "IMAGE_MIN_DIM": "input.min_side",
    "IMAGE_MAX_DIM": "input.max_side",
    "MEAN_PIXEL": "input.mean",
    "BACKBONE": "backbone.name",
    "TOP_DOWN_PYRAMID_SIZE": "network.fpn.channels",
    "RPN_NMS_THRESHOLD": "network.rpn.nms_iou",
    "RPN_TRAIN_ANCHORS_PER_IMAGE": "network.rpn.samples",
    "POST_NMS_ROIS_TRAINING": "network.rpn.post_nms_top_n_train",
    "POST_NMS_ROIS_INFERENCE": "network.rpn.post_nms_top_n_test",
    "TRAIN_ROIS_PER_IMAGE": "network.box_head.samples",
    "ROI_POSITIVE_RATIO": "network.box_head.positive_fraction",
    "POOL_SIZE": "network.box_head.pool_size",
    "FPN_CLASSIF_FC_LAYERS_SIZE": "network.box_head.fc_dim",
    "MASK_POOL_SIZE": "network.mask_head.pool_size",
    "DETECTION_MIN_CONFIDENCE": "inference.score_threshold",
    "DETECTION_NMS_THRESHOLD": "inference.nms_iou",
    "DETECTION_MAX_INSTANCES": "inference.max_detections",
    "LEARNING_RATE": "train.learning_rate",
    "LEARNING_MOMENTUM": "train.momentum",
    "WEIGHT_DECAY": "train.weight_decay",
    "GRADIENT_CLIP_NORM": "train.grad_clip_norm",
    "BATCH_SIZE": "train.batch_size",
    "STEPS_PER_EPOCH": "train.steps_per_epoch",
}
MATTERPORT_LOSSES = {
    "rpn_class": "rpn_class",
    "rpn_bbox": "rpn_bbox",
    "mrcnn_class": "class",
    "mrcnn_bbox": "bbox",
    "mrcnn_mask": "mask",
}

DETECTRON2 = {
    "INPUT.MIN_SIZE_TEST": "input.min_side",
    "INPUT.MAX_SIZE_TEST": "input.max_side",
    "MODEL.PIXEL_MEAN": "input.mean",
    "MODEL.PIXEL_STD": "input.std",
    "MODEL.BACKBONE.FREEZE_AT": "backbone.frozen_stages",
    "MODEL.RESNETS.STRIDE_IN_1X1": "backbone.stride_first",
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": "network.rpn.pre_nms_top_n_train",
    "MODEL.RPN.PRE_NMS_TOPK_TEST": "network.rpn.pre_nms_top_n_test",
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": "network.rpn.post_nms_top_n_train",
    "MODEL.RPN.POST_NMS_TOPK_TEST": "network.rpn.post_nms_top_n_test",
    "MODEL.RPN.NMS_THRESH": "network.rpn.nms_iou",
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": "network.rpn.samples",
    "MODEL.RPN.POSITIVE_FRACTION": "network.rpn.positive_fraction",
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": "network.box_head.samples",
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": "network.box_head.positive_fraction",
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": "inference.score_threshold",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": "inference.nms_iou",
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": "network.box_head.pool_size",
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": "network.mask_head.pool_size",
    "TEST.DETECTIONS_PER_IMAGE": "inference.max_detections",
    "SOLVER.BASE_LR": "train.learning_rate",
    "SOLVER.MOMENTUM": "train.momentum",
    "SOLVER.WEIGHT_DECAY": "train.weight_decay",
    "SOLVER.IMS_PER_BATCH": "train.batch_size",
}

DETECTRON2_DEEPLAB = {
    "INPUT.MIN_SIZE_TEST": "input.min_side",
    "INPUT.MAX_SIZE_TEST": "input.max_side",
    "MODEL.PIXEL_MEAN": "input.mean",
    "MODEL.PIXEL_STD": "input.std",
    "MODEL.SEM_SEG_HEAD.ASPP_DILATIONS": "network.aspp.dilations",
    "MODEL.SEM_SEG_HEAD.ASPP_DROPOUT": "network.aspp.dropout",
    "MODEL.SEM_SEG_HEAD.LOSS_TOP_K": "network.pixel_loss.hard_pixels",
    "MODEL.INS_EMBED_HEAD.CENTER_LOSS_WEIGHT": "network.loss_weights.center",
    "MODEL.INS_EMBED_HEAD.OFFSET_LOSS_WEIGHT": "network.loss_weights.offset",
    "MODEL.PANOPTIC_DEEPLAB.CENTER_THRESHOLD": "network.centers.threshold",
    "MODEL.PANOPTIC_DEEPLAB.NMS_KERNEL": "network.centers.nms_kernel",
    "MODEL.PANOPTIC_DEEPLAB.TOP_K_INSTANCE": "network.centers.top_k",
    "SOLVER.BASE_LR": "train.learning_rate",
    "SOLVER.MOMENTUM": "train.momentum",
    "SOLVER.WEIGHT_DECAY": "train.weight_decay",
    "SOLVER.IMS_PER_BATCH": "train.batch_size",
}
DEEPLAB_ARCHITECTURES = ("SemanticSegmentor", "PanopticDeepLab")
"""What detectron2's settings files of DeepLab have as `MODEL.META_ARCHITECTURE`."""

FIXED = {
    "BBOX_STD_DEV": [0.1, 0.1, 0.2, 0.2],
    "RPN_BBOX_STD_DEV": [0.1, 0.1, 0.2, 0.2],
    "RPN_ANCHOR_STRIDE": 1,
    "BACKBONE_STRIDES": [4, 8, 16, 32, 64],
    "IMAGE_RESIZE_MODE": "square",
    "IMAGE_MIN_SCALE": 0,
    "IMAGE_CHANNEL_COUNT": 3,
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
    "MODEL.ANCHOR_GENERATOR.OFFSET": 0.0,
    "MODEL.RPN.BBOX_REG_WEIGHTS": [1.0, 1.0, 1.0, 1.0],
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": [10.0, 10.0, 5.0, 5.0],
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "ROIAlignV2",
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": 0,
    "MODEL.ROI_MASK_HEAD.POOLER_TYPE": "ROIAlignV2",
    "MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO": 0,
}
"""The only supported values of settings that we do not have. With other values the network would be wrong."""


def to_config_tree(tree: Tree, name: str = "the settings") -> Tree:
    """Converts a settings file of Matterport or detectron2 to sections of `Config`; a file of ours stays as it is.

    Args:
        tree: the content of the file.
        name: the file, for messages.

    Raises:
        ConfigError: a setting has a value that is not supported.
    """
    if _get(tree, "MODEL.META_ARCHITECTURE") in DEEPLAB_ARCHITECTURES:
        return _from_detectron2_deeplab(tree)
    for key, supported in FIXED.items():
        if (value := _get(tree, key)) is not None and value != supported:
            raise ConfigError(f"{name}: {key} is {value}, but only {supported} is supported")
    if "IMAGE_MAX_DIM" in tree or "RPN_ANCHOR_SCALES" in tree or "DETECTION_MIN_CONFIDENCE" in tree:
        return _from_matterport(tree)
    if any(section in tree for section in ("MODEL", "INPUT", "TEST", "SOLVER")):
        return _from_detectron2(tree)
    return tree


def _from_matterport(tree: Tree) -> Tree:
    result: Tree = {"network": {"conventions": "matterport"}}
    for key, name in MATTERPORT.items():
        if tree.get(key) is not None:
            _put(result, name, tree[key])
    _put(result, "input.resize", "square")
    if tree.get("RPN_ANCHOR_SCALES"):
        _put(result, "network.anchors.scales", [[scale] for scale in tree["RPN_ANCHOR_SCALES"]])
    if tree.get("RPN_ANCHOR_RATIOS"):  # width / height there, height / width here
        _put(result, "network.anchors.ratios", [1 / ratio for ratio in tree["RPN_ANCHOR_RATIOS"]])
    if tree.get("PRE_NMS_LIMIT"):
        _put(result, "network.rpn.pre_nms_top_n_train", tree["PRE_NMS_LIMIT"])
        _put(result, "network.rpn.pre_nms_top_n_test", tree["PRE_NMS_LIMIT"])
    for key, name in MATTERPORT_LOSSES.items():
        if (weight := (tree.get("LOSS_WEIGHTS") or {}).get(f"{key}_loss")) is not None:
            _put(result, f"network.loss_weights.{name}", weight)
    return result


def _from_detectron2(tree: Tree) -> Tree:
    result: Tree = {"network": {"conventions": "detectron2"}}
    for key, name in DETECTRON2.items():
        if (value := _get(tree, key)) is not None:
            _put(result, name, value)
    if channels := _get(tree, "INPUT.FORMAT"):
        _put(result, "input.channels", str(channels).lower())
    sizes, ratios = _get(tree, "MODEL.ANCHOR_GENERATOR.SIZES"), _get(tree, "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS")
    if sizes:
        _put(result, "network.anchors.scales", sizes)
    if ratios and isinstance(ratios[0], list):
        _put(result, "network.anchors.ratios", ratios[0])
    return result


def _from_detectron2_deeplab(tree: Tree) -> Tree:
    result: Tree = {"network": {"name": "deeplab", "conventions": "detectron2"}}
    for key, name in DETECTRON2_DEEPLAB.items():
        if (value := _get(tree, key)) is not None:
            _put(result, name, value)
    if "min_side" in result.get("input", {}):
        _put(result, "input.resize", "keep_ratio")
    if channels := _get(tree, "INPUT.FORMAT"):
        _put(result, "input.channels", str(channels).lower())
    if (crop := _get(tree, "INPUT.CROP.SIZE")) and _get(tree, "INPUT.CROP.ENABLED"):
        _put(result, "network.aspp.pool_window", crop)
    return result


def _get(tree: Tree, dotted: str) -> Any:
    value: Any = tree
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _put(tree: Tree, dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
    tree[key] = value


def config_from(known: Mapping[str, Any], settings: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """The configuration for a weights file: `overrides` over `settings` over what is `known` of the file.

    Args:
        known: sections and values, those of the file and its origin.
        settings: a settings file, ours or of an origin.
        overrides: such as `input.min_side=320`.

    Raises:
        ConfigError: settings or overrides are wrong, or name another network than that of the file.
    """
    name = str(settings or "the settings of these weights")
    given = to_config_tree(*read_settings(settings)) if settings is not None else {}
    theirs, ours = network_name(known), named_network(settings, overrides)
    if "network" in known and ours not in (None, theirs):
        raise ConfigError(
            f"{settings or '--set'}: network.name is {ours}, but these are weights of {theirs}; leave network.name "
            f"out, or give weights of {ours}"
        )
    return Config.from_tree(deep_merge(dict(known), given), overrides, name)


def network_name(tree: Mapping[str, Any]) -> str:
    """The name of the network that a tree of settings is for."""
    named = (tree.get("network") or {}).get("name")
    return str(named) if named else Config().network.name


def named_network(settings: str | Path | None, overrides: Sequence[str]) -> str | None:
    """The network that settings and overrides name, if they do; see `config_from`."""
    tree = to_config_tree(*read_settings(settings)) if settings is not None else {}
    for text in overrides:
        override(tree, text)  # what is wrong with it is reported later
    network = tree.get("network")
    return network.get("name") if isinstance(network, dict) else None
