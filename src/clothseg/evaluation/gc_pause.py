"""Python's garbage collector out of the way while millions of rows are made."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """No search for circular garbage inside.

    The collector looks through all that lives again and again while new rows appear. None of them is garbage, and with
    half a million the search takes three times as long as reading them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
