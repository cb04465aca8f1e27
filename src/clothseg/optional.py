"""Packages that a light installation leaves out: `requirements-light.txt` and docs/install.md explain it.

What can do without one asks `is_installed`. What cannot imports it; the command line then says what to install.
"""

from importlib.util import find_spec

LEFT_OUT = ("polars", "pymatting", "tensorboard", "vernier")
"""Names of these packages, in Python and for pip."""


def is_installed(package: str) -> bool:
    """Whether Python finds a package; it is not imported."""
    return find_spec(package) is not None
