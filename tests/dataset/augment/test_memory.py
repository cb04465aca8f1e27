"""Many objects on a large photo: their masks are never in memory together at the photo's size."""

import subprocess
import sys
from pathlib import Path

import pytest
from label_files import write_photo

SIZE, OBJECTS = (1000, 1500), 100
CHILD = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.instances import encode
from clothseg.networks import input_transform

photo, height, width, objects, paste = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(1)
config = Config.load("small", [f"augment.copy_paste={paste}"])
rows = []
for number in range(objects):
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[number : number + 60, 5 * number : 5 * number + 90] = True
    rows.append({"id": number + 1, "image_id": 1, "category_id": 1, "segmentation": encode(mask)})
dataset = CocoLikeDataset()
dataset.add_class("coco", 1, "Dress")
for number, part in ((1, rows), (2, rows[:1])):
    dataset.add_image(number, Path(photo), height, width, part)
dataset.prepare()
transform = input_transform(config)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

transform.prepare(*load_example(dataset, 1, config.augment, 1))  # libraries, photo and one object
before = peak()
_, truth = transform.prepare(*load_example(dataset, 0, config.augment, 1))
print(peak() - before, truth.masks.pixels().nbytes)
"""


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no resource usage of a process in the standard library"
)
@pytest.mark.parametrize("paste", [0, 1])
def test_peak_memory_of_many_objects(paste: int, tmp_path: Path) -> None:
    """Together the masks have 150 MB at the photo's size. All at once took 390, with copy-paste 450 MB."""
    write_photo(tmp_path / "photo.jpg", SIZE)
    words = [sys.executable, "-c", CHILD, str(tmp_path / "photo.jpg"), *map(str, (*SIZE, OBJECTS, paste))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    more, held = map(int, done.stdout.split())
    assert held > 1_000_000
    assert more < 120_000_000
