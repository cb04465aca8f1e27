"""Settings for a budget of memory, with a forecast that is made up: 100 MB, 10 more for each photo in memory."""

import pytest

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ConfigError
from clothseg.training.memory.budget import changes, fit_budget, parse_size, within_budget
from clothseg.training.memory.forecast import Forecast

MB = 1_000_000


def made_up(config: Config) -> Forecast:
    train = config.train
    activations = train.batch_size * (5 if train.activation_checkpointing else 10) * MB
    cached = min(2 * train.feature_cache_mb, 200) * MB
    return Forecast(100 * MB, 0, 0, 0, 0, cached, activations, 0)


CONFIG = Config.load("demo", ["train.batch_size=4", "train.feature_cache_mb=100"])
RECOMPUTE = "train.activation_checkpointing=true"


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (400, []),
        (180, ["train.feature_cache_mb=20"]),
        (140, ["train.feature_cache_mb=0"]),
        (130, [RECOMPUTE, "train.feature_cache_mb=5"]),
        (112, ["train.batch_size=2", "train.grad_accumulation_steps=2", RECOMPUTE, "train.feature_cache_mb=1"]),
        (105, ["train.batch_size=1", "train.grad_accumulation_steps=4", RECOMPUTE, "train.feature_cache_mb=0"]),
    ],
)
def test_settings_that_change_little_go_first(budget: int, expected: list[str]) -> None:
    chosen, forecast = fit_budget(CONFIG, budget * MB, made_up)
    assert changes(CONFIG, chosen) == expected
    assert forecast == made_up(chosen)
    assert forecast.total <= budget * MB
    assert chosen.train.batch_size * chosen.train.grad_accumulation_steps == 4
    assert Config.model_validate(chosen.model_dump(by_alias=True)) == chosen


def test_the_error_names_the_smallest_budget_that_would_fit() -> None:
    with pytest.raises(ConfigError, match=r"nothing fits in 104 MB: this training takes at least 105 MB"):
        fit_budget(CONFIG, 104 * MB, made_up)


def test_amounts_of_memory() -> None:
    assert parse_size("4GB") == parse_size(" 4 gb ") == parse_size("4000MB") == 4_000_000_000
    assert parse_size("1.5 GiB") == 3 * 2**29
    for wrong in ("3 apples", "3", "GB", "-4GB", "0GB", "1e3MB", ""):
        with pytest.raises(ConfigError, match="such as 4GB"):
            parse_size(wrong)


def test_processes_on_a_cpu_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clothseg.training.memory.budget.forecast_memory", lambda config, *_: made_up(config))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    two = CONFIG.changed("train", devices=2)
    train = val = CocoLikeDataset()
    (one, alone), (each, shared) = (within_budget(c, f, train, val) for c, f in ((CONFIG, "130MB"), (two, "260MB")))
    assert changes(two, each) == changes(CONFIG, one) != []
    assert alone.endswith("about 130 MB")
    assert shared.endswith("about 130 MB for each of 2 processes")
