"""What 8 bits cost: mask_AP of an exported network and of the same quantized, and their time.

    python benchmarks/onnx_int8.py MODEL.onnx DATA [--calibration 40] [--record]

DATA is a dataset's folder: photos of `train` calibrate, `val` measures. Processor
time, one thread, one photo after the other.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from torch import Tensor

from bench_tools import add_record_options, record
from clothseg import CocoLikeDataset
from clothseg.evaluation import evaluate_coco, truth_of
from clothseg.evaluation.results import detections
from clothseg.export import quantize
from clothseg.exported import ExportedModel
from clothseg.instances import Instances


class Timed:
    """Finds as the evaluation asks for it, and adds up the processor time."""

    def __init__(self, path: Path) -> None:
        self.model, self.seconds = ExportedModel.load(path, threads=1), 0.0

    def detect(self, images: list[Tensor]) -> list[Instances]:
        """The instances on each photo `[3, H, W]`."""
        begun = time.process_time()
        found = [self.model.find(image.permute(1, 2, 0).contiguous().numpy()) for image in images]
        self.seconds += time.process_time() - begun
        return [one.to_instances() for one in found]


def main() -> None:
    """Measures and prints both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--calibration", type=int, default=40)
    add_record_options(parser)
    options = parser.parse_args()
    train, val = (CocoLikeDataset().load_data(options.data, split=split).prepare() for split in ("train", "val"))
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "int8.onnx"
        shutil.copy(options.onnx, small)
        step = max(len(train.images) // options.calibration, 1)
        quantize(small, [train.load_image(n) for n in range(0, len(train.images), step)][: options.calibration])
        for name, path in (("float32", options.onnx), ("int8", small)):
            timed = Timed(path)
            rows = [row for rows in detections(timed, val, timed.model.classes) for row in rows]
            precision = float(evaluate_coco(truth_of(val), rows).overall["mask_AP"] or 0.0)
            milliseconds = timed.seconds / len(val.images) * 1000
            size = path.stat().st_size / 1e6
            print(f"{name}: mask_AP {precision:.4f}, {milliseconds:.0f} ms a photo, {size:.1f} MB")
            note = f"{options.onnx.stem}, {len(val.images)} photos of val"
            record(options, f"{name}: mask_AP", precision, "", note)
            record(options, f"{name}: processor time", milliseconds, "ms", note)


if __name__ == "__main__":
    main()
