"""Does labelling the photos that `predict --rank-for-labelling` puts first teach more than labelling random ones?

On a labelled dataset: a network is trained on a few photos and ranks the others as if they had no labels. Then two
networks are trained with the same settings and the same number of photos: with the first ones of the ranking, and with
random ones. Seeds are paired: both sides have the same first photos, the same settings and the same number of steps.

Without `--run` it only prints the plan: three trainings for each seed take hours.

    python benchmarks/rank_for_labelling.py DATA --config small --first 67 --add 67 --seeds 0 1 2 --run --record
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench_tools import add_record_options, record
from clothseg import CocoLikeDataset, Config
from clothseg.dataset.nested_subsets import nested_subsets
from clothseg.errors import DataError
from clothseg.evaluation import compare_results, truth_of
from clothseg.evaluation.calibrated_results import judged_results
from clothseg.evaluation.calibration import fit_calibration
from clothseg.evaluation.truth import GroundTruth
from clothseg.files import atomic_write, read_json
from clothseg.instances import CocoResult
from clothseg.models import Model
from clothseg.prediction.ranking import rank_for_labelling
from clothseg.report.learning_curve import same_steps
from clothseg.runs import RunFolder
from clothseg.weights.automatic import with_initial_weights

METRICS = ("mask_AP", "mask_AP50", "report_mAP")


def main() -> None:
    """Prints the plan; with `--run`, trains and prints the comparison."""
    options = _options()
    if options.data is None:
        print("name a labelled dataset: python benchmarks/rank_for_labelling.py DATA")
        return
    train = CocoLikeDataset().load_data(options.data, "train").prepare()
    val = CocoLikeDataset().load_data(options.data, "val").prepare()
    together = options.first + options.add
    if together > len(train):
        raise SystemExit(f"--first and --add need {together} photos, but train has {len(train)}")
    # For no class, `auto` means ImageNet's weights: others may know the labels already.
    start = with_initial_weights(Config.load(options.config, options.set), ())
    config = same_steps(start, together)
    print(
        f"{options.data}: {len(train)} photos in train, {len(val)} in val; for each seed of {options.seeds}: train on "
        f"{options.first}, rank {len(train) - options.first}, add {options.add} by rank and by chance; "
        f"{config.train.epochs} epochs of {config.train.steps_per_epoch} steps each; runs in {options.out}"
    )
    if not options.run:
        print("nothing was trained; add --run")
        return
    gains: dict[str, list[float]] = {name: [] for name in METRICS}
    truth = truth_of(val)
    for seed in options.seeds:
        one_seed(train, val, truth, config.changed("train", seed=seed), options, gains)
    for name, found in gains.items():
        if found:
            spread = float(np.std(found, ddof=1)) if len(found) > 1 else 0.0
            print(f"{name}: ranked minus random {100 * np.mean(found):+.1f}, {spread * 100:.1f} between seeds")
            record(options, f"{name}: ranked minus random", 100 * float(np.mean(found)), "%", _note(options, spread))


def one_seed(
    train: CocoLikeDataset,
    val: CocoLikeDataset,
    truth: GroundTruth,
    config: Config,
    options: argparse.Namespace,
    gains: dict[str, list[float]],
) -> None:
    """Trains the three networks of one seed, prints the comparison, and adds the differences to `gains`."""
    seed = config.train.seed
    labels = {entry.id: {str(a["category_id"]) for a in entry.annotations} for entry in train.images}
    (first,) = nested_subsets(labels, [options.first], seed)
    start = options.out / f"seed-{seed}" / "first"
    model, results = trained(train.only(first), val, config, start)
    judged = judged_results(truth, results, model.classes)
    try:
        model.calibration = fit_calibration(judged, len(model.classes), photos=len(val), truth=truth.fingerprint)
    except DataError as error:
        print(f"seed {seed}: ranked with the network's own scores ({error})")
    pool = [entry for entry in train.images if entry.id not in set(first)]
    ids = {entry.path: entry.id for entry in pool}
    ranked, _ = rank_for_labelling(model, [entry.path for entry in pool])
    by_rank = [ids[one.path] for one in ranked[: options.add]]
    by_chance = np.random.default_rng(seed).choice([entry.id for entry in pool], options.add, replace=False).tolist()
    sides = []
    for name, chosen in (("random", by_chance), ("ranked", by_rank)):
        _, rows = trained(train.only([*first, *chosen]), val, config, options.out / f"seed-{seed}" / name)
        sides.append(rows)
    found = compare_results(truth, sides[0], sides[1]).differences
    for name in METRICS:
        if name in found:
            one = found[name]
            gains[name].append(one.change)
            between = f"[{100 * one.interval.low:+.1f}, {100 * one.interval.high:+.1f}]"
            print(f"seed {seed}, {name}: random {100 * one.a:.1f}, ranked {100 * one.b:.1f}, {between} over photos")


def trained(
    train: CocoLikeDataset, val: CocoLikeDataset, config: Config, folder: Path
) -> tuple[Model, Sequence[CocoResult]]:
    """The network and its detections on the validation photos; a run that is finished is loaded, others go on."""
    run = RunFolder(folder)
    if run.predictions.is_file():
        return Model.load(folder), read_json(run.predictions)
    begun = run.last.is_file()
    model = Model(config).build(train.classes)
    if not begun:
        model.load_weights()
    model.fit(train, val, folder, resume=begun, overwrite=not begun, quiet=True)
    rows = [row for of_photo in model.predict_dataset(val) for row in of_photo]
    atomic_write(run.predictions, json.dumps(rows))
    return model, rows


def _note(options: argparse.Namespace, spread: float) -> str:
    seeds = len(options.seeds)
    return f"{options.config}, {options.first} + {options.add} photos, {seeds} seeds, {100 * spread:.1f} between seeds"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, help="a labelled dataset with train and val")
    parser.add_argument("--config", default="small", help="settings of the trainings")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change a setting")
    parser.add_argument("--first", type=int, default=67, help="photos that are labelled already")
    parser.add_argument("--add", type=int, default=67, help="photos to label next")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/rank-for-labelling"), help="folder of the runs")
    parser.add_argument("--run", action="store_true", help="train; otherwise only print the plan")
    add_record_options(parser)
    return parser.parse_args()


if __name__ == "__main__":
    main()
