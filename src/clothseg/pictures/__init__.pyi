from .bars import bar_chart
from .colours import Colour, class_colour, text_colour
from .curves import compare_curves, loss_curve, loss_curves, loss_names
from .instances import draw_instances
from .outlines import draw_masks, draw_outlines
from .photo_instances import PhotoInstances
from .sheets import contact_sheet
from .tree import Twig, draw_tree

__all__ = [
    "Colour",
    "PhotoInstances",
    "Twig",
    "bar_chart",
    "class_colour",
    "compare_curves",
    "contact_sheet",
    "draw_instances",
    "draw_masks",
    "draw_outlines",
    "draw_tree",
    "loss_curve",
    "loss_curves",
    "loss_names",
    "text_colour",
]
