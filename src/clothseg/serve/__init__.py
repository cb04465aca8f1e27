"""A web page and a JSON interface for one network.

`create_app` makes the Starlette application, `serve` runs it. `guard.py` decides who may ask, `request_body.py` reads
what is sent, `worker.py` is the queue, `engine.py` does the work with the package's own prediction and cut-outs,
`api_types.py` and `openapi.py` describe the interface, and `page/` has the files of the page. Photos are never written
to disk.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
