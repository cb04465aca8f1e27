"""Layers that several networks share: FPN, anchors, box deltas, matching, NMS, RoI Align, norms."""
