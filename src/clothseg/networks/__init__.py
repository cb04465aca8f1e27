"""Networks that find instances: `losses` while they learn, `detect` afterwards.

`network.py` is the contract and the template, `input.py` the way from photos to the input and back (`pixels.py`: photos
as tensors), `build.py` the list of networks. `backbones/` and `layers/` are shared; each network has a folder.
"""

from clothseg.deferred_dynamo import import_without_dynamo

import_without_dynamo("torchvision")  # before any file of this package imports it

from clothseg.networks.build import NETWORKS, build_network, input_transform  # noqa: E402
from clothseg.networks.network import Check, Network  # noqa: E402
from clothseg.networks.pixels import to_float, to_tensor  # noqa: E402

__all__ = ["NETWORKS", "Check", "Network", "build_network", "input_transform", "to_float", "to_tensor"]
