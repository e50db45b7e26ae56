"""Sound as pictures for people: time to the right, low pitch below, loud is bright."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.augment import LogMelView
from ssl_jax.data import Spec


def recorded(batch: Mapping[str, np.ndarray], spec: Spec) -> np.ndarray:
    """Spectrograms of the recordings of a batch as they are, float32 [N, mels, frames, 1] in 0..1."""
    view = LogMelView(spec, low=0.0, mels=48)
    return np.asarray(upright(view.displayable(jax.jit(jax.vmap(view.evaluate))(dict(batch)))))


def drawn(views: Mapping[str, jax.Array], view, spec: Spec) -> dict[str, jax.Array]:
    """The spectrograms among what a method's `views` gives, [N, V, mels, frames, 1] in 0..1, by what they are called.

    Args:
      views: arrays [B, ...] or [B, V, ...]: pictures of frames under 'image', frames under 'frames', or samples under
        'waveform' with their `length`.
      view: what made them.
      spec: of the data.
    """
    if "image" in views:
        images = view.displayable(views["image"])
        return {"view": upright(images if images.ndim == 5 else images[:, None])}
    if "frames" in views:
        return {"view": upright(view.displayable(views["frames"][:, None, :, :, None]))}
    if "waveform" not in views:
        return {}
    picture = LogMelView(_spec_of(views["waveform"].shape[1], spec), low=0.0, mels=48)
    images = jax.vmap(picture.evaluate)({name: views[name] for name in ("waveform", "length")})
    return {"view": upright(picture.displayable(images))[:, None]}


def upright(images: jax.Array) -> jax.Array:
    """Pictures [..., frames, mels, 1] turned: [..., mels, frames, 1], the lowest pitch in the last row."""
    return jnp.flip(jnp.swapaxes(images, -3, -2), axis=-3)


def _spec_of(samples: int, spec: Spec) -> Spec:
    return Spec(shapes={"waveform": (samples,), "length": ()}, sample_rate=spec.sample_rate)
