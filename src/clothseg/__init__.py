"""clothseg: garments cut out of photos pixel by pixel."""

__version__ = "0.1.0"
