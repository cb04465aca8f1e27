"""What a page in a browser must have for everybody: contrast, headings in order, names of controls and pictures."""

from pathlib import Path
from typing import Any

_FAULTS = Path(__file__).with_name("accessibility.js").read_text(encoding="utf-8").partition("\n")[2]


def faults(page: Any) -> list[str]:
    """What is wrong with a page of playwright as it is shown now; contrast is that of WCAG AA."""
    found: list[str] = page.evaluate(_FAULTS)
    return found
