"""Layers that several networks share: FPN, anchors, box coding, matching, NMS, RoI Align, norms."""
