"""Settings files of the origins themselves: Matterport's upper-case names and detectron2's tree, in our terms.

What stands in them that we have no setting for is left aside; `docs/weights.md` lists what is read.
"""

from typing import Any

from clothseg.errors import ConfigError

Tree = dict[str, Any]

MATTERPORT = {
    "IMAGE_MIN_DIM": "picture.min_side",
    "IMAGE_MAX_DIM": "picture.max_side",
    "MEAN_PIXEL": "picture.mean",
    "BACKBONE": "backbone.name",
    "TOP_DOWN_PYRAMID_SIZE": "pyramid.channels",
    "RPN_NMS_THRESHOLD": "rpn.nms_iou",
    "RPN_TRAIN_ANCHORS_PER_IMAGE": "rpn.samples",
    "POST_NMS_ROIS_TRAINING": "rpn.proposals_train",
    "POST_NMS_ROIS_INFERENCE": "rpn.proposals_detect",
    "TRAIN_ROIS_PER_IMAGE": "boxes.samples",
    "ROI_POSITIVE_RATIO": "boxes.positive_share",
    "POOL_SIZE": "boxes.pooled",
    "FPN_CLASSIF_FC_LAYERS_SIZE": "boxes.hidden",
    "MASK_POOL_SIZE": "mask.pooled",
    "DETECTION_MIN_CONFIDENCE": "detect.min_confidence",
    "DETECTION_NMS_THRESHOLD": "detect.nms_iou",
    "DETECTION_MAX_INSTANCES": "detect.max_detections",
    "LEARNING_RATE": "train.learning_rate",
    "LEARNING_MOMENTUM": "train.momentum",
    "WEIGHT_DECAY": "train.weight_decay",
    "GRADIENT_CLIP_NORM": "train.clip_gradients",
    "BATCH_SIZE": "train.batch_size",
    "STEPS_PER_EPOCH": "train.steps_per_epoch",
}
LOSSES = {
    "rpn_class": "rpn_class",
    "rpn_bbox": "rpn_bbox",
    "mrcnn_class": "class",
    "mrcnn_bbox": "bbox",
    "mrcnn_mask": "mask",
}

DETECTRON2 = {
    "INPUT.MIN_SIZE_TEST": "picture.min_side",
    "INPUT.MAX_SIZE_TEST": "picture.max_side",
    "MODEL.PIXEL_MEAN": "picture.mean",
    "MODEL.PIXEL_STD": "picture.std",
    "MODEL.BACKBONE.FREEZE_AT": "backbone.frozen_stages",
    "MODEL.RESNETS.STRIDE_IN_1X1": "backbone.stride_first",
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": "rpn.candidates_train",
    "MODEL.RPN.PRE_NMS_TOPK_TEST": "rpn.candidates_detect",
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": "rpn.proposals_train",
    "MODEL.RPN.POST_NMS_TOPK_TEST": "rpn.proposals_detect",
    "MODEL.RPN.NMS_THRESH": "rpn.nms_iou",
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": "rpn.samples",
    "MODEL.RPN.POSITIVE_FRACTION": "rpn.positive_share",
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": "boxes.samples",
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": "boxes.positive_share",
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": "detect.min_confidence",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": "detect.nms_iou",
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": "boxes.pooled",
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": "mask.pooled",
    "TEST.DETECTIONS_PER_IMAGE": "detect.max_detections",
    "SOLVER.BASE_LR": "train.learning_rate",
    "SOLVER.MOMENTUM": "train.momentum",
    "SOLVER.WEIGHT_DECAY": "train.weight_decay",
    "SOLVER.IMS_PER_BATCH": "train.batch_size",
}


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
"""What the conventions compute; a file that says otherwise is of a network that would come out wrong."""


def in_our_terms(tree: Tree, name: str = "the settings") -> Tree:
    """Our sections and values from a settings file of any of the three; ours comes back as it is.

    Raises:
        ConfigError: it asks for something that is not computed here.
    """
    for theirs, computed in FIXED.items():
        if (value := _get(tree, theirs)) is not None and value != computed:
            raise ConfigError(f"{name}: {theirs} is {value}, but only {computed} is computed here")
    if "IMAGE_MAX_DIM" in tree or "RPN_ANCHOR_SCALES" in tree or "DETECTION_MIN_CONFIDENCE" in tree:
        return _from_matterport(tree)
    if any(section in tree for section in ("MODEL", "INPUT", "TEST", "SOLVER")):
        return _from_detectron2(tree)
    return tree


def _from_matterport(tree: Tree) -> Tree:
    answer: Tree = {"conventions": "matterport"}
    for theirs, ours in MATTERPORT.items():
        if tree.get(theirs) is not None:
            _put(answer, ours, tree[theirs])
    _put(answer, "picture.resize", "square")
    if tree.get("RPN_ANCHOR_SCALES"):
        _put(answer, "anchors.scales", [[scale] for scale in tree["RPN_ANCHOR_SCALES"]])
    if tree.get("RPN_ANCHOR_RATIOS"):
        _put(answer, "anchors.ratios", [1 / ratio for ratio in tree["RPN_ANCHOR_RATIOS"]])
    if tree.get("PRE_NMS_LIMIT"):
        _put(answer, "rpn.candidates_train", tree["PRE_NMS_LIMIT"])
        _put(answer, "rpn.candidates_detect", tree["PRE_NMS_LIMIT"])
    for theirs, ours in LOSSES.items():
        if (weight := (tree.get("LOSS_WEIGHTS") or {}).get(f"{theirs}_loss")) is not None:
            _put(answer, f"losses.{ours}", weight)
    return answer


def _from_detectron2(tree: Tree) -> Tree:
    answer: Tree = {"conventions": "detectron2"}
    for theirs, ours in DETECTRON2.items():
        if (value := _get(tree, theirs)) is not None:
            _put(answer, ours, value)
    if order := _get(tree, "INPUT.FORMAT"):
        _put(answer, "picture.channels", str(order).lower())
    sizes, ratios = _get(tree, "MODEL.ANCHOR_GENERATOR.SIZES"), _get(tree, "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS")
    if sizes:
        _put(answer, "anchors.scales", sizes)
    if ratios and isinstance(ratios[0], list):
        _put(answer, "anchors.ratios", ratios[0])
    return answer


def _get(tree: Tree, dotted: str) -> Any:
    value: Any = tree
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _put(tree: Tree, dotted: str, value: Any) -> None:
    section, key = dotted.split(".")
    tree.setdefault(section, {})[key] = value
