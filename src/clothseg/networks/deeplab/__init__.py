"""DeepLabv3, DeepLabv3+ and Panoptic-DeepLab."""
