"""Methods that are made for one network refuse others in one line."""

import pytest
from flax import nnx

from ssl_jax import models
from ssl_jax.methods import METHODS
from tests import small_text, tiny

TEXT = ("albert", "bert", "data2vec_text", "electra", "next_token", "roberta", "simcse")
SOUND = dict(
    apc="frame_transformer",
    best_rq="frame_gru",
    cpc="waveform_transformer",
    data2vec="waveform_gru",
    hubert="waveform_gru",
    wav2vec2="waveform_gru",
)


@pytest.mark.parametrize("name", TEXT)
def test_text_needs_a_text_transformer(name):
    view = small_text.view("tokens" if name in ("next_token", "simcse") else "bert")
    sizes = dict(vocab_size=small_text.VOCABULARY, width=8, depth=1, heads=2, mlp_dim=8, dropout=0.1)
    backbone = models.EncoderDecoder(**sizes, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=f"{name} needs config.model.name 'text_transformer', not a EncoderDecoder"):
        METHODS[name](backbone, view, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(("name", "other"), SOUND.items())
def test_sound_needs_its_own_network(name, other):
    settings = next(config["model"] for config in map(tiny.config, SOUND) if config["model"]["name"] == other)
    backbone = models.MODELS[other](**{key: settings[key] for key in settings if key != "name"}, rngs=nnx.Rngs(0))
    own = tiny.config(name)["model"]["name"]
    with pytest.raises(ValueError, match=f"{name} needs config.model.name '{own}', not a {type(backbone).__name__}"):
        METHODS[name](backbone, None, rngs=nnx.Rngs(0))
