"""How long `clothseg predict` needs to its first network call, beside `import torch` alone, which it cannot go below.

    python benchmarks/start_predict.py [--rounds 7] [--record]

An untrained network of the preset `demo` (timm) and one with a ResNet-50, on one photo of the sample. Each round starts
a process for each case, one after the other; medians over the rounds. A minute. Wall time needs a quiet machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_tools import add_record_options, record
from clothseg import sample
from clothseg.config import Config
from clothseg.models import MaskRCNN

REPORT = "print(time.time() - float(os.environ['BEGUN']), time.process_time(), flush=True); os._exit(0)"
IMPORT_TORCH = f"import os, time, torch; {REPORT}"
PREDICT = f"""
import os, sys, time
from importlib.machinery import PathFinder

class Finder:  # ends the process at the first call of `detect`; imports nothing that the command does not
    def find_spec(self, name, path=None, target=None):
        if name != "clothseg.networks.network":
            return None
        spec = PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module
        def execute_and_replace(module):
            execute(module)
            def detect(*_):
                {REPORT}
            module.Network.detect = detect
        spec.loader.exec_module = execute_and_replace
        return spec

sys.meta_path.insert(0, Finder())
from clothseg.cli import main
sys.argv = ["clothseg", "predict", *sys.argv[1:]]
main()
"""


def measure(code: str, *words: str) -> tuple[float, float]:
    """Seconds from the start of a Python process to the end of `code`: wall time and processor time."""
    environment = os.environ | {"BEGUN": str(time.time())}
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment, stdout=subprocess.PIPE, check=True)
    wall, processor = done.stdout.split()
    return float(wall), float(processor)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    add_record_options(parser)
    options = parser.parse_args()
    photo = str(min((sample.folder() / "validation").glob("*.jpg")))
    with tempfile.TemporaryDirectory() as folder:
        cases: dict[str, tuple[str, ...]] = {"import torch": (IMPORT_TORCH,)}
        for name, overrides in {"preset demo": [], "ResNet-50": ["backbone.name=resnet50"]}.items():
            path = Path(folder, f"{name}.safetensors")
            MaskRCNN(Config.load("demo", overrides)).build(["Suit", "Dress"]).save(path)
            cases[f"predict, {name}"] = (PREDICT, str(path), photo, "--out", str(Path(folder, "found")), "--overwrite")
        rounds = [{name: measure(*words) for name, words in cases.items()} for _ in range(options.rounds)]
    for name in cases:
        for position, kind in enumerate(("wall time", "processor time")):
            value = statistics.median(found[name][position] for found in rounds)
            print(f"{name + ':':24} {value:5.2f} s {kind}")
            record(options, f"{name}: {kind}", value, "s", f"median of {options.rounds}")


if __name__ == "__main__":
    main()
