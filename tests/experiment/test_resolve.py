"""A resolved config holds what its constructors would have taken by default, and changes nothing of what it states."""

import json
import pathlib

import pytest

from ssl_jax import config as configs
from ssl_jax.errors import UserError
from ssl_jax.experiment.build import check
from ssl_jax.experiment.resolve import resolved

CONFIGS = sorted((pathlib.Path(__file__).resolve().parents[2] / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_is_a_config_that_says_the_same(path):
    stated = configs.plain(configs.load(str(path)))
    whole = resolved(stated)
    check(whole)
    assert resolved(whole) == whole
    assert configs.flat(stated).items() <= configs.flat(whole).items()
    assert configs.differences(whole, json.loads(json.dumps(whole))) == {}


def test_presets_and_defaults_are_there():
    """Numbers of Grill et al. 2020, appendix B, and of the constructors."""
    (path,) = (path for path in CONFIGS if path.stem == "byol_imagenet_rn50")
    whole = resolved(configs.plain(configs.load(str(path))))
    assert whole["views"]["second_solarize"] == 0.2 and whole["views"]["blur"] == 1.0
    assert whole["optimizer"]["trust_coefficient"] == 0.001 and whole["optimizer"]["clip_norm"] is None
    assert whole["evaluate"]["k"] == 20 and whole["on_collapse"] == "warn" and whole["log_every"] == 100
    supplied = {"rngs", "axis_name", "steps", "batch_size", "num_classes", "data_dir"}
    assert not any(supplied & whole[part].keys() for part in ("data", "model", "method", "optimizer"))


def test_a_wrong_config_is_refused():
    config = configs.plain(configs.load(str(CONFIGS[0])))
    config["method"]["nmae"] = 1
    with pytest.raises(UserError, match="nmae"):
        resolved(config)
