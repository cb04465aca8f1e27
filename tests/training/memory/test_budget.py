"""Settings for a memory budget, with a fake forecast: 100 MB, and 10 more for each photo in memory."""

from dataclasses import replace

import pytest
import torch

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ConfigError
from clothseg.training.memory.budget import changes, fit_budget, parse_size, within_budget
from clothseg.training.memory.forecast import Forecast

MB = 1_000_000


def fake_forecast(config: Config) -> Forecast:
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
def test_the_budget_changes_the_least_costly_settings_first(budget: int, expected: list[str]) -> None:
    chosen, forecast = fit_budget(CONFIG, budget * MB, fake_forecast)
    assert changes(CONFIG, chosen) == expected
    assert forecast == fake_forecast(chosen)
    assert forecast.total <= budget * MB
    assert chosen.train.batch_size * chosen.train.grad_accumulation_steps == 4
    assert Config.model_validate(chosen.model_dump(by_alias=True)) == chosen


def test_the_error_names_the_smallest_budget_that_would_fit() -> None:
    with pytest.raises(ConfigError, match=r"nothing fits in 104 MB: this training takes at least 105 MB"):
        fit_budget(CONFIG, 104 * MB, fake_forecast)


@pytest.mark.parametrize(
    ("part", "advice"),
    [("activations", "make the input"), ("photos", "photos smaller"), ("weights", "smaller backbone")],
)
def test_the_advice_is_about_the_largest_part(part: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=advice):
        fit_budget(CONFIG, 104 * MB, lambda config: replace(fake_forecast(config), **{part: 10_000 * MB}))


def test_parse_size_reads_units_and_refuses_other_text() -> None:
    assert parse_size("4GB") == parse_size(" 4 gb ") == parse_size("4000MB") == 4_000_000_000
    assert parse_size("1.5 GiB") == 3 * 2**29
    for wrong in ("3 apples", "3", "GB", "-4GB", "0GB", "1e3MB", ""):
        with pytest.raises(ConfigError, match="such as 4GB"):
            parse_size(wrong)


def test_processes_on_a_cpu_share_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clothseg.training.memory.budget.forecast_memory", lambda config, *_: fake_forecast(config))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    two = CONFIG.changed("train", devices=2)
    train = val = CocoLikeDataset()
    (single_config, single_text), (shared_config, shared_text) = (
        within_budget(c, f, train, val, torch.device("cpu")) for c, f in ((CONFIG, "130MB"), (two, "260MB"))
    )
    assert changes(two, shared_config) == changes(CONFIG, single_config) != []
    assert single_text.endswith("about 130 MB")
    assert shared_text.endswith("about 130 MB for each of 2 processes")
