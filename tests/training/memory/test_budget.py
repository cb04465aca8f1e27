"""Settings for a budget of memory, with a forecast that is made up: 100 MB, 10 more for each photo in memory."""

from dataclasses import fields

import pytest
import torch

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ConfigError
from clothseg.networks import build_network
from clothseg.training.memory.budget import changes, fit_budget, parse_size, within_budget
from clothseg.training.memory.device import in_words
from clothseg.training.memory.forecast import Forecast
from clothseg.training.run_summary import Pace, learning_in_words, memory_in_words

MB = 1_000_000


def made_up(config: Config) -> Forecast:
    train = config.train
    activations = train.batch_size * (5 if train.checkpoint_activations else 10) * MB
    kept = min(2 * train.keep_features_mb, 200) * MB
    return Forecast(100 * MB, 0, 0, 0, 0, kept, activations, 0)


CONFIG = Config.load("demo", ["train.batch_size=4", "train.keep_features_mb=100"])
AGAIN = "train.checkpoint_activations=true"


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (400, []),
        (180, ["train.keep_features_mb=20"]),
        (140, ["train.keep_features_mb=0"]),
        (130, [AGAIN, "train.keep_features_mb=5"]),
        (112, ["train.batch_size=2", "train.accumulate=2", AGAIN, "train.keep_features_mb=1"]),
        (105, ["train.batch_size=1", "train.accumulate=4", AGAIN, "train.keep_features_mb=0"]),
    ],
)
def test_what_changes_little_goes_first(budget: int, expected: list[str]) -> None:
    chosen, forecast = fit_budget(CONFIG, budget * MB, made_up)
    assert changes(CONFIG, chosen) == expected
    assert forecast == made_up(chosen)
    assert forecast.total <= budget * MB
    assert chosen.train.batch_size * chosen.train.accumulate == 4
    assert Config.model_validate(chosen.model_dump(by_alias=True)) == chosen


def test_the_smallest_that_would_fit_is_told() -> None:
    with pytest.raises(ConfigError, match=r"nothing fits into 104 MB: the least .* is 105 MB"):
        fit_budget(CONFIG, 104 * MB, made_up)


def test_amounts() -> None:
    assert parse_size("4GB") == parse_size(" 4 gb ") == parse_size("4000MB") == 4_000_000_000
    assert parse_size("1.5 GiB") == 3 * 2**29
    for wrong in ("3 apples", "3", "GB", "-4GB", "0GB", "1e3MB", ""):
        with pytest.raises(ConfigError, match="such as 4GB"):
            parse_size(wrong)


def test_the_pace_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 s a step of 4 photos from the second step on; 100 steps in 10 epochs, 12 photos to check after each."""
    clock = iter([50.0, 60.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    pace = Pace(0, 100, 10, 4, 12)
    said = [pace.after(step) for step in range(1, 101)]
    assert [number for number, words in enumerate(said, start=1) if words] == [6]
    assert "about 3 min to go: 2 s a step, measured on steps 2 to 6" in said[5]  # 94 * 2 s + 9.4 * 12 * 2 / 4 / 3 s


def test_processes_of_a_cpu_share_one_memory() -> None:
    foretold = Forecast(*[100_000_000] * len(fields(Forecast)))
    alone, both = (memory_in_words(foretold, torch.device("cpu"), 0, processes) for processes in (1, 2))
    one, two = in_words(foretold.total), in_words(2 * foretold.total)
    assert alone.startswith(f"about {one} ")
    assert both.startswith(f"about {two} ")
    assert f"({one} for each of 2 processes: " in both


def test_processes_of_a_cpu_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clothseg.training.memory.budget.foretell", lambda config, *_: made_up(config))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    two = CONFIG.model_copy(update={"train": CONFIG.train.model_copy(update={"devices": 2})})
    train = val = CocoLikeDataset()
    (one, alone), (each, shared) = (within_budget(c, f, train, val) for c, f in ((CONFIG, "130MB"), (two, "260MB")))
    assert changes(two, each) == changes(CONFIG, one) != []
    assert alone.endswith("about 130 MB")
    assert shared.endswith("about 130 MB for each of 2 processes")


def test_every_stage_says_how_much_learns() -> None:
    config = Config.load(
        "demo", ["train.epochs=9", "train.stages=[{layers: heads, until: 3}, {layers: all, until: 9}]"]
    )
    network = build_network(config, 3)
    trunk = sum(p.numel() for p in network.backbone.parameters())
    total = sum(p.numel() for p in network.parameters())
    learning = [p.requires_grad for p in network.parameters()]
    first, last = learning_in_words(network, config).split("; ")
    assert first.startswith(f"{(total - trunk) / 1e6:.1f} of {total / 1e6:.1f} million weights learn until epoch 3, ")
    assert last.startswith(f"{total / 1e6:.1f} of {total / 1e6:.1f} million weights learn until epoch 9, none ")
    assert [p.requires_grad for p in network.parameters()] == learning
