"""A colour for each class, the same in every picture, and a readable text colour for it."""

import colorsys

Colour = tuple[int, int, int]

# People with red-green colour blindness can tell these apart: neighbours differ in lightness or along blue-yellow.
# None is a typical colour of the first classes' cloth (denim, black wool).
_PALETTE: tuple[Colour, ...] = (
    (30, 105, 215),  # blue
    (214, 50, 20),  # vermilion
    (250, 204, 30),  # amber
    (0, 145, 110),  # green
    (232, 140, 222),  # orchid
    (120, 214, 245),  # sky
    (150, 95, 230),  # violet
    (130, 80, 45),  # brown
)
CROWD: Colour = (128, 128, 128)


def class_colour(class_id: int) -> Colour:
    """The colour of a class, RGB in 0..255. Ids 1 to 8 have fixed colours. Higher ids step around the hue circle."""
    position = class_id - 1
    if 0 <= position < len(_PALETTE):
        return _PALETTE[position]
    golden = 0.6180339887498949  # golden ratio: steps of this size never repeat a hue
    red, green, blue = colorsys.hls_to_rgb(position * golden % 1.0, (0.45, 0.62, 0.32)[position % 3], 0.75)
    return round(255 * red), round(255 * green), round(255 * blue)


def luminance(colour: Colour) -> float:
    """Relative luminance in 0..1. Source: WCAG 2.2, "relative luminance"."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def text_colour(background: Colour) -> Colour:
    """Near-black or white: the one with more contrast on `background`."""
    black, white = (20, 20, 20), (255, 255, 255)
    behind = luminance(background) + 0.05
    return white if 1.05 / behind >= behind / (luminance(black) + 0.05) else black
