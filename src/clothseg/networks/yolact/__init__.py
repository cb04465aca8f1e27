"""YOLACT. Source: Bolya et al., YOLACT: Real-time Instance Segmentation (2019)."""
