from .entries import Entry, GalleryClass, GalleryInfo, GalleryObject, Link
from .page import SHARED, GalleryParts, clear_gallery, page_parts, require_own_page, write_gallery
from .thumbnails import thumbnail_name, write_thumbnail

__all__ = [
    "SHARED",
    "Entry",
    "GalleryClass",
    "GalleryInfo",
    "GalleryObject",
    "GalleryParts",
    "Link",
    "clear_gallery",
    "page_parts",
    "require_own_page",
    "thumbnail_name",
    "write_gallery",
    "write_thumbnail",
]
