"""Keys of earlier versions: an old key is an error that names the new one, or says why it was removed."""

from typing import Any

RENAMED = {
    "picture": "input",
    "conventions": "network.conventions",
    "pyramid": "network.fpn",
    "anchors": "network.anchors",
    "rpn": "network.rpn",
    "boxes": "network.box_head",
    "mask": "network.mask_head",
    "losses": "network.loss_weights",
    "losses.rpn_box_loss": "network.rpn.box_loss",
    "losses.box_loss": "network.box_head.box_loss",
    "detect": "inference",
    "rpn.candidates_train": "network.rpn.pre_nms_top_n_train",
    "rpn.candidates_detect": "network.rpn.pre_nms_top_n_test",
    "rpn.proposals_train": "network.rpn.post_nms_top_n_train",
    "rpn.proposals_detect": "network.rpn.post_nms_top_n_test",
    "rpn.positive_share": "network.rpn.positive_fraction",
    "rpn.convolutions": "network.rpn.num_conv",
    "boxes.positive_share": "network.box_head.positive_fraction",
    "boxes.pooled": "network.box_head.pool_size",
    "boxes.level_side": "network.box_head.canonical_size",
    "boxes.convolutions": "network.box_head.num_conv",
    "boxes.dense": "network.box_head.num_fc",
    "boxes.hidden": "network.box_head.fc_dim",
    "boxes.dense_norm": "network.box_head.fc_norm",
    "mask.pooled": "network.mask_head.pool_size",
    "mask.convolutions": "network.mask_head.num_conv",
    "detect.min_confidence": "inference.score_threshold",
    "detect.thresholds": "inference.class_thresholds",
    "detect.cross_class_iou": "inference.class_agnostic_nms_iou",
    "detect.mask_score": "inference.mask_rescoring",
    "augment.copies": "augment.fixed_views",
    "augment.waves": "augment.piecewise_affine",
    "augment.jitter": "augment.large_scale_jitter",
    "augment.multiply": "augment.brightness",
    "augment.colour": "augment.saturation",
    "augment.paste": "augment.copy_paste",
    "train.accumulate": "train.grad_accumulation_steps",
    "train.checkpoint_activations": "train.activation_checkpointing",
    "train.backbone_rate": "train.backbone_lr_scale",
    "train.clip_gradients": "train.grad_clip_norm",
    "train.average": "train.ema_decay",
    "train.save_every": "train.checkpoint_every_steps",
    "train.on_nan": "train.on_nonfinite",
    "train.keep_features_mb": "train.feature_cache_mb",
    "train.keep_photos_mb": "train.image_cache_mb",
    "train.best": "train.monitor",
    "train.rate_for_photos": "train.lr_reference_batch",
    "train.stages.layers": "train.stages.trainable",
    "train.stages.until": "train.stages.end_epoch",
    "unlabelled.sure_score": "unlabelled.score_threshold",
    "unlabelled.unsure_score": "unlabelled.ignore_threshold",
    "unlabelled.sure_mask": "unlabelled.mask_score_threshold",
}
REMOVED = {"inference.channels_last": "on a CPU, networks always run in this memory order"}
"""Keys that nothing replaces, and why."""
_STRENGTH = {"most": "max", "chance": "p"}


def replace_old_keys(tree: dict[str, Any]) -> list[str]:
    """Moves values under keys of earlier versions to the keys of today, and drops those that were removed.

    Returns:
        one sentence for each, with the new key or the reason.
    """
    problems: list[str] = []
    if isinstance(tree.get("network"), str):
        name = tree["network"]
        tree["network"] = {"name": name}
        problems.append(f"network is a section now; write network: {{name: {name}}}")
    for path, value in _moved(tree, ()):
        *above, last = new_path(path)
        branch = tree
        for key in above:
            if not isinstance(branch.get(key), dict):
                branch[key] = {}
            branch = branch[key]
        branch[last] = value
        problems.append(_sentence(path))
    for old, reason in REMOVED.items():
        section, key = old.split(".")
        if isinstance(tree.get(section), dict) and key in tree[section]:
            del tree[section][key]
            problems.append(f"{old} is no setting any more, because {reason}; remove it")
    stages = tree["train"].get("stages") if isinstance(tree.get("train"), dict) else None
    for stage in stages if isinstance(stages, list) else ():
        for key in [key for key in stage if f"train.stages.{key}" in RENAMED] if isinstance(stage, dict) else ():
            path = ("train", "stages", key)
            stage[new_path(path)[-1]] = stage.pop(key)
            problems.append(_sentence(path))
    return problems


def _moved(branch: dict[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    """Takes the values under old keys out of a branch, with the path of each."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for key in list(branch):
        here = (*path, str(key))
        if isinstance(branch[key], dict):
            whole_section = len(here) == 1 and here[0] in RENAMED
            found += (
                [((*here, str(k)), v) for k, v in branch.pop(key).items()]
                if whole_section
                else _moved(branch[key], here)
            )
        elif new_path(here) != here:
            found.append((here, branch.pop(key)))
    return found


def _sentence(path: tuple[str, ...]) -> str:
    return f"{'.'.join(path)} is now {'.'.join(new_path(path))}"


def new_path(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path of today for a path of an earlier version; unchanged where it was not renamed."""
    if path[:1] == ("augment",) and len(path) == 3:
        return (*new_path(path[:2]), _STRENGTH.get(path[2], path[2]))
    for length in range(len(path), 0, -1):
        if new := RENAMED.get(".".join(path[:length])):
            return (*new.split("."), *path[length:])
    return path
