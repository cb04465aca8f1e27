"""How often a teacher's confident detections are right, by what a second network says of them.

    python benchmarks/second_opinion.py RUN DATA --split val

The photos of DATA have labels, which neither network looks at: RUN labels them as `fit --unlabelled` would, and the
second network is asked. A detection is right if an object of its class has a box with an IoU of 0.5 or more with its
own. Prints a table, and how many of the photos that would teach that there is nothing do show a class.
"""

import argparse
from collections import Counter
from pathlib import Path

import torch
from torchvision.ops import box_iou

from clothseg import CocoLikeDataset
from clothseg.config import UnlabelledSettings
from clothseg.instances import Instances, tight_box
from clothseg.models import Model
from clothseg.networks import to_tensor
from clothseg.training.pseudo_labels import Candidate, find_candidates, judged
from clothseg.training.second_opinion import SecondOpinion, Verdict

COLUMNS = ("all", *(verdict.value for verdict in Verdict))


def is_right(one: Candidate, truth: Instances) -> bool:
    """Whether an object of the candidate's class has a box with an IoU of 0.5 or more with that of its mask."""
    left, top, width, height = tight_box(one.mask)
    own = torch.tensor([[left, top, left + width, top + height]], dtype=truth.boxes.dtype)
    same = truth.boxes[(truth.classes == one.class_id) & ~truth.crowd]
    return bool((box_iou(own, same) >= 0.5).any())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--network", default="auto", help="of the second opinion; see unlabelled.second_opinion")
    options = parser.parse_args()
    if options.data is None:
        print("name a run and a dataset: python benchmarks/second_opinion.py RUN DATA")
        return
    model = Model.load(options.run, device="cpu")
    dataset = CocoLikeDataset().load_data(options.data, options.split).prepare()
    settings = UnlabelledSettings(second_opinion=options.network)
    config = model.config.model_copy(update={"unlabelled": settings})
    second = SecondOpinion.of(config, dataset.classes, torch.device("cpu"))
    assert model.network is not None
    if second is None or model.classes != dataset.classes:
        parser.error("there is no second network, or the run and the dataset have other classes")
    right: Counter[tuple[int, str]] = Counter()
    made: Counter[tuple[int, str]] = Counter()
    empty: list[bool] = []
    for position in range(len(dataset)):
        photo, truth = dataset.load_image(position), dataset.load_instances(position)
        (found,) = model.network.detect([to_tensor(photo)])
        candidates, opinion = find_candidates(found, settings), second.look(position, photo)
        for one in (one for one in candidates if one.score >= settings.score_threshold):
            for column in ("all", opinion.verdict(one.class_id, one.mask, settings).value):
                made[one.class_id, column] += 1
                right[one.class_id, column] += is_right(one, truth)
        if judged(candidates, opinion, second.known, settings).empty:
            empty.append(bool((~truth.crowd).any()))
    print(f"| class | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for number, name in enumerate(dataset.classes, start=1):
        print(f"| {name} | {' | '.join(f'{right[number, c]} of {made[number, c]}' for c in COLUMNS)} |")
    print(
        f"\n{len(empty)} of {len(dataset)} photos would teach that there is nothing; {sum(empty)} of them show a class"
    )


if __name__ == "__main__":
    main()
