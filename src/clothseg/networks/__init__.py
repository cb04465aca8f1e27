"""Networks that find instances: `losses` while they learn, `detect` afterwards.

`network.py` is the contract and the template. `input.py` makes the input of photos, and `placement.py` knows where they
lie in it. `build.py` is the list of networks. `backbones/` and `layers/` are shared; each network has a folder.
"""

from clothseg.deferred_dynamo import import_without_dynamo

import_without_dynamo("torchvision")  # before any file of this package imports it

from clothseg.networks.build import NETWORKS, build_network, input_transform  # noqa: E402
from clothseg.networks.input import to_float, to_photo, to_tensor  # noqa: E402
from clothseg.networks.network import Check, Network  # noqa: E402

__all__ = ["NETWORKS", "Check", "Network", "build_network", "input_transform", "to_float", "to_photo", "to_tensor"]
