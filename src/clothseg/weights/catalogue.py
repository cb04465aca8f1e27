"""Names of weights: published files with address, size, licence and checksum, and how a name becomes a local file."""

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from clothseg.errors import DownloadError, WeightsError
from clothseg.paths import Wanted, explain_wrong_path
from clothseg.runs import RunFolder, unfinished_run
from clothseg.suggestions import did_you_mean, near_path, nearest
from clothseg.weights.formats.efficientnet_lite import BUNDLED

if TYPE_CHECKING:
    from clothseg.http import TransferProgress

PYTORCH = "https://download.pytorch.org/models"
ZOO = "https://dl.fbaipublicfiles.com/detectron2"
TORCHVISION_TERMS = "BSD-3-Clause (torchvision); trained on {}, whose own terms apply"
DETECTRON2_TERMS = "Apache-2.0 (detectron2); trained on {}, whose own terms apply"
MATTERPORT_TERMS = "MIT (Matterport Mask R-CNN); trained on COCO, whose own terms apply"


AUTO = "auto"
"""The name of initial weights that depend on the classes: `automatic.py` chooses them."""

INSTALLED = ("garments",)
"""Networks that come with the package, by the name that commands take in place of a run; docs/garments.md."""


def installed_network(name: str) -> Path | None:
    """The weights file of a network that comes with the package; None for other names.

    A file of this name, or a folder with weights, in the current folder comes first. A folder without weights does not:
    `evaluate garments` writes one.
    """
    if name not in INSTALLED or os.path.isfile(name) or RunFolder(Path(name)).weights.is_file():
        return None
    return RunFolder(Path(str(files("clothseg.weights") / name))).weights


@dataclass(frozen=True)
class Published:
    """A published weights file.

    Attributes:
        url: its address.
        mib: its size in MiB, approximately.
        licence: its licence.
        what: a short description.
        sha256: the SHA-256 digest of the file, or the first digits of it; empty if the publisher gives none.
    """

    url: str
    mib: float
    licence: str
    what: str
    sha256: str = ""

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.url.rsplit("/", 1)[-1]


def _torchvision(name: str, mib: float, what: str, data: str) -> Published:
    """An entry of torchvision, whose file names contain the first 8 digits of the SHA-256 digest."""
    digits = name.rsplit("-", 1)[-1].removesuffix(".pth")
    return Published(f"{PYTORCH}/{name}", mib, TORCHVISION_TERMS.format(data), what, digits)


def _detectron2(path: str, mib: float, what: str, data: str) -> Published:
    return Published(f"{ZOO}/{path}", mib, DETECTRON2_TERMS.format(data), what)


SEGMENTATION = "COCO-InstanceSegmentation/mask_rcnn"
PUBLISHED = {
    "coco": _torchvision("maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", 169.8, "Mask R-CNN, ResNet-50", "COCO"),
    "coco-v2": _torchvision("maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth", 177.2, "Mask R-CNN v2, ResNet-50", "COCO"),
    "coco-detectron2-r50": _detectron2(
        f"{SEGMENTATION}_R_50_FPN_3x/137849600/model_final_f10217.pkl", 169.6, "Mask R-CNN, ResNet-50", "COCO"
    ),
    "coco-detectron2-r101": _detectron2(
        f"{SEGMENTATION}_R_101_FPN_3x/138205316/model_final_a3ec72.pkl", 242.3, "Mask R-CNN, ResNet-101", "COCO"
    ),
    "coco-detectron2-x101": _detectron2(
        f"{SEGMENTATION}_X_101_32x8d_FPN_3x/139653917/model_final_2d9806.pkl", 411.0, "Mask R-CNN, ResNeXt-101", "COCO"
    ),
    "coco-matterport": Published(
        "https://github.com/matterport/Mask_RCNN/releases/download/v2.0/mask_rcnn_coco.h5",
        245.6,
        MATTERPORT_TERMS,
        "Mask R-CNN, ResNet-101 (the report's)",
    ),
    "coco-deeplabv3-resnet50": _torchvision(
        "deeplabv3_resnet50_coco-cd0a2569.pth", 160.5, "DeepLabv3, ResNet-50, Pascal VOC's classes", "COCO"
    ),
    "coco-deeplabv3-resnet101": _torchvision(
        "deeplabv3_resnet101_coco-586e9e4e.pth", 233.2, "DeepLabv3, ResNet-101, Pascal VOC's classes", "COCO"
    ),
    "imagenet-resnet18": _torchvision("resnet18-f37072fd.pth", 44.7, "ResNet-18 alone", "ImageNet"),
    "imagenet-resnet34": _torchvision("resnet34-b627a593.pth", 83.3, "ResNet-34 alone", "ImageNet"),
    "imagenet-resnet50": _torchvision("resnet50-0676ba61.pth", 97.8, "ResNet-50 alone", "ImageNet"),
    "imagenet-resnet101": _torchvision("resnet101-63fe2227.pth", 170.5, "ResNet-101 alone", "ImageNet"),
    "imagenet-resnext101_32x8d": _torchvision(
        "resnext101_32x8d-8ba56ff5.pth", 339.6, "ResNeXt-101 32x8d alone", "ImageNet"
    ),
    "imagenet-detectron2-r50": _detectron2("ImageNetPretrained/MSRA/R-50.pkl", 97.8, "ResNet-50 alone", "ImageNet"),
    "imagenet-detectron2-r101": _detectron2("ImageNetPretrained/MSRA/R-101.pkl", 170.4, "ResNet-101 alone", "ImageNet"),
}


def cache_folder() -> Path:
    """The folder of downloaded weights."""
    return Path.home() / ".cache" / "clothseg" / "weights"


def published(name: str, backbone: str = "resnet50") -> Published:
    """Returns the entry of a name; `imagenet` means `imagenet-BACKBONE`.

    Raises:
        WeightsError: no published weights have this name.
    """
    full_name = f"imagenet-{backbone}" if name == "imagenet" else name
    if full_name not in PUBLISHED:
        hint = did_you_mean(full_name, list(PUBLISHED), otherwise="the names are")
        raise WeightsError(f"{full_name!r} is not a name of published weights; {hint}")
    return PUBLISHED[full_name]


def check_source(source: str) -> None:
    """Checks that `source` can be the initial weights of a network: a name, a file, or the folder of a run.

    Raises:
        WeightsError: there is no such file and no such name, or it is a folder without weights.
    """
    path = Path(source)
    if installed_network(source):
        return
    if os.path.isdir(path) and not RunFolder(path).weights.is_file():
        raise WeightsError(
            explain_wrong_path(path, Wanted.RUN)
            or unfinished_run(path)
            or f"weights {source!r}: a folder, but not one of a finished run (no {RunFolder(path).weights.name})"
        )
    names = ["random", AUTO, "imagenet", *BUNDLED, *INSTALLED, *PUBLISHED]
    if not os.path.exists(path) and source not in names:
        near = nearest(source, names, 2)
        hint = f"; did you mean {' or '.join(near)}?" if near else near_path(path)
        listed = "`clothseg weights download` lists the published names"
        joined = f"{hint}{' ' if hint.endswith('?') else '; '}{listed}"
        raise WeightsError(f"weights {source!r}: no such file, folder or published name{joined}")


def find_weights_file(source: str, backbone: str, progress: "TransferProgress | None") -> Path:
    """The path that `source` is, or else the installed or the downloaded file of this name.

    `backbone` chooses where published weights have several files.

    Raises:
        WeightsError: there is no such file and no such name, or it is a folder without weights.
    """
    check_source(source)
    if installed := installed_network(source):
        return installed
    if os.path.exists(source):
        return Path(source)
    return fetch(published(source, backbone), progress=progress)


def fetch(entry: Published, folder: Path | None = None, progress: "TransferProgress | None" = None) -> Path:
    """Returns the local file of an entry; downloads it to `folder` (default: the cache) if it is not there.

    Raises:
        WeightsError: the file cannot be downloaded, or its checksum is wrong.
    """
    path = (folder or cache_folder()) / entry.file_name
    if not path.is_file():
        from clothseg.http import download_file  # noqa: PLC0415 - most calls download nothing

        try:
            download_file(entry.url, path, sha256=entry.sha256, progress=progress)
        except OSError as error:
            raise WeightsError(
                f"{path}: the file cannot be written ({error}). Make room or change the rights of the folder; or save "
                f"{entry.url} elsewhere, and give its path instead of the name"
            ) from error
        except DownloadError as error:
            raise WeightsError(
                f"{error}. The same command tries again, and resumes what arrived. Without a network: "
                f"fetch {entry.url} on another machine and save it as {path}, or give its path instead of the name"
            ) from error
    return path
