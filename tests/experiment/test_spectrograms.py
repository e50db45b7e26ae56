"""Sound as pictures."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import augment
from ssl_jax.data import Spec
from ssl_jax.experiment import spectrograms

SPEC = Spec(shapes={"waveform": (4000,), "length": ()}, sample_rate=8000)
TIME = np.arange(4000) / 8000


def rising():
    """A tone from 300 Hz to 3 kHz, twice."""
    tone = 8000 * np.sin(2 * np.pi * (300 + 2700 * TIME) * TIME)
    return {"waveform": np.stack([tone, tone]).astype(np.int16), "length": np.array([4000, 2000])}


def test_time_goes_right_and_pitch_up():
    pictures = spectrograms.recorded(rising(), SPEC)
    assert pictures.shape == (2, 48, 50, 1) and pictures.min() >= 0 and pictures.max() <= 1
    loudest = pictures[0, :, :, 0].argmax(axis=0)
    assert loudest[3] > loudest[20] + 5 and loudest[20] > loudest[35]  # rows count from the top
    assert np.ptp(pictures[1, :, 30:]) == 0  # behind the end


@pytest.mark.parametrize("name", ["log_mel", "log_mel_frames", "waveform"])
def test_views_of_each_kind_are_drawn(name):
    view = augment.VIEWS[name](SPEC, seconds=0.25)
    made = [view.evaluate({key: jnp.asarray(value[row]) for key, value in rising().items()}) for row in range(2)]
    views = {"image": jnp.stack(made)} if name == "log_mel" else {k: jnp.stack([m[k] for m in made]) for k in made[0]}
    drawn = spectrograms.drawn(views, view, SPEC)["view"]
    assert drawn.shape[:2] == (2, 1) and drawn.shape[3] == 25 and drawn.min() >= 0 and drawn.max() <= 1
    assert drawn.std() > 0.05


def test_what_is_no_sound_is_not_drawn():
    assert spectrograms.drawn({"tokens": jnp.zeros((2, 3))}, None, SPEC) == {}
