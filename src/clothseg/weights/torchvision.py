"""Names of torchvision's `maskrcnn_resnet50_fpn` (the first version) and ours."""

import re
from collections.abc import Mapping

from torch import Tensor

RENAMES = (
    (r"^backbone\.body\.", "backbone.model."),
    (r"^(backbone\.model\..*?)\bbn(\d)\b", r"\1norm\2"),
    (r"^(backbone\.model\..*?)\bdownsample\.", r"\1shortcut."),
    (r"^backbone\.fpn\.inner_blocks\.(\d)\.0\.", r"pyramid.lateral.\1.0."),
    (r"^backbone\.fpn\.layer_blocks\.(\d)\.0\.", r"pyramid.smooth.\1.0."),
    (r"^rpn\.head\.conv\.0\.0\.", "rpn.convs.0."),
    (r"^rpn\.head\.cls_logits\.", "rpn.score."),
    (r"^rpn\.head\.bbox_pred\.", "rpn.delta."),
    (r"^roi_heads\.box_head\.fc6\.", "box_head.dense.0."),
    (r"^roi_heads\.box_head\.fc7\.", "box_head.dense.1."),
    (r"^roi_heads\.box_predictor\.cls_score\.", "box_head.score."),
    (r"^roi_heads\.box_predictor\.bbox_pred\.", "box_head.delta."),
    (r"^roi_heads\.mask_head\.(\d)\.0\.", r"mask_head.convs.\1.conv."),
    (r"^roi_heads\.mask_predictor\.conv5_mask\.", "mask_head.up."),
    (r"^roi_heads\.mask_predictor\.mask_fcn_logits\.", "mask_head.logits."),
)


def from_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Torchvision's tensors under our names; each is kept, none is changed."""
    answer = {}
    for old, tensor in tensors.items():
        name = old
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        answer[name] = tensor
    return answer
