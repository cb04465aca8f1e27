"""Settings of a tiny network for the preset `demo`: a second for a training."""

TINY_NETWORK = [
    "weights=random",
    "backbone.name=timm/test_efficientnet",  # one block for each stage
    "input.height=96",
    "input.width=64",
    "network.fpn.channels=16",
    "network.box_head.fc_dim=32",
    "network.mask_head.channels=16",
    "inference.max_detections=3",
    "inference.score_threshold=0",
]
