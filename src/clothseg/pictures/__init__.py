"""Drawing: instances on photos, contact sheets, loss curves. Arrays in, arrays or files' bytes out.

Another mask colour is in `colours.py`; line widths, fill and labels are in `instances.py` and `labels.py`.
"""

from clothseg.pictures.bars import bar_chart
from clothseg.pictures.colours import Colour, class_colour, text_colour
from clothseg.pictures.curves import LOSSES, loss_curve, loss_curves
from clothseg.pictures.instances import draw_instances
from clothseg.pictures.sheets import contact_sheet
from clothseg.pictures.tree import Twig, draw_tree

__all__ = [
    "LOSSES",
    "Colour",
    "Twig",
    "bar_chart",
    "class_colour",
    "contact_sheet",
    "draw_instances",
    "draw_tree",
    "loss_curve",
    "loss_curves",
    "text_colour",
]
