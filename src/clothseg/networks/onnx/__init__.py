"""What networks need to become ONNX graphs: a builder, the input, the way back to the photo, NMS, RoI Align.

Nothing outside the export imports this package: it needs the library onnx.
"""
