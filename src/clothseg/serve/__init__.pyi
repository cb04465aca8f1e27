from .access import Access, access_for
from .app import create_app
from .engine import Engine
from .limits import Limits
from .run import bind, serve

__all__ = ["Access", "Engine", "Limits", "access_for", "bind", "create_app", "serve"]
