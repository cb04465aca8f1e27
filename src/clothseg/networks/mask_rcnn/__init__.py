"""Mask R-CNN. Source: He et al., Mask R-CNN (2017), with a feature pyramid."""
