"""A bare training step of wav2vec 2.0, ours beside transformers' on PyTorch: forward, backward and an update by AdamW.

    python benchmarks/wav2vec2.py [--batch=2] [--seconds=4] [--depth=12] [--dropouts 0.0 0.1] [--rounds=5] [--threads=2]

The model is the base one (Baevski et al. 2020, table 1; wav2vec_small in its authors' list of models): 7 convolutions
of 512 channels, 12 layers, 768 wide. Ours is `methods.Wav2Vec2` without the penalty of features, which theirs does not
have, theirs `Wav2Vec2ForPreTraining`, whose weights start as ours. Both hear the same noise of 16 kHz without padding;
what is hidden and who are distractors is drawn before. Rounds of one step each take turns in one process; ratios are to
ours. The median and the best round are shown, of wall time and of the time of all processors. Needs
requirements-peers.txt.
"""

import argparse
import dataclasses
import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import rounds  # noqa: E402
from benchmarks.bert import DECAY, RATE, our_step  # noqa: E402

RATE_OF_SOUND = 16_000  # Hz
PARTS = ("quantizer", "project_context", "project_quantized")


@dataclasses.dataclass(frozen=True)
class Shape:
    """Of a batch and the network, and how much is dropped."""

    batch: int
    seconds: float
    depth: int
    dropout: float


def ours(shape: Shape) -> Any:
    """Our method with its weights."""
    from flax import nnx

    from ssl_jax.methods import METHODS
    from ssl_jax.models import WaveformTransformer

    def build() -> nnx.Module:
        sizes = dict(width=768, depth=shape.depth, heads=12, mlp_dim=3072, conv_channels=(512,) * 7)
        backbone = WaveformTransformer(**sizes, dropout=shape.dropout, rngs=nnx.Rngs(0))
        view = types.SimpleNamespace(train=lambda key, example: example)
        settings = dict(quantizer_dropout=shape.dropout, feature_penalty=0.0)
        return METHODS["wav2vec2"](backbone, view, **settings, rngs=nnx.Rngs(1))

    return nnx.jit(build)()


def views(method: Any, shape: Shape) -> dict[str, Any]:
    """Waveforms, what of them is hidden, and the distractors, as NumPy arrays."""
    import jax
    import numpy as np

    samples = round(shape.seconds * RATE_OF_SOUND)
    sound = np.random.default_rng(0).standard_normal((shape.batch, samples), dtype=np.float32)
    heard = {"waveform": sound, "length": np.full(shape.batch, samples, np.int32)}
    return jax.tree.map(np.asarray, jax.jit(method.views)(heard, jax.random.key(0)))


def their_step(method: Any, inputs: dict[str, Any], shape: Shape) -> Callable[[], object]:
    """The same in transformers, from the same weights."""
    import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable)
    import numpy as np
    import torch
    import transformers

    from ssl_jax import interop

    said = interop.wav2vec2.pretraining_settings(method.backbone, method.quantizer, method.project_context.out_features)
    said |= dict(feat_quantizer_dropout=shape.dropout, feat_proj_dropout=shape.dropout, mask_time_prob=0.065)
    model = transformers.Wav2Vec2ForPreTraining(transformers.Wav2Vec2Config(**said)).train()
    heads = {name: getattr(method, name) for name in PARTS}
    weights = interop.wav2vec2.to_transformers(method.backbone, **heads)
    model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    frames = inputs["mask"].shape[1]
    flat = inputs["negatives"] + frames * np.arange(shape.batch)[:, None, None]
    given = dict(
        input_values=torch.tensor(inputs["waveform"]), mask_time_indices=torch.tensor(inputs["mask"]).long(),
        sampled_negative_indices=torch.tensor(flat).long(),
    )  # fmt: skip
    hidden = float(inputs["mask"].sum())

    def call():
        optimizer.zero_grad()
        (model(**given).loss / hidden).backward()
        optimizer.step()

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="of sound")
    parser.add_argument("--depth", type=int, default=12, help="layers of the transformer")
    parser.add_argument("--dropouts", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    rounds.use_processors(options.threads)
    rounds.head("ours", "theirs")
    for dropout in options.dropouts:
        compare(Shape(options.batch, options.seconds, options.depth, dropout), options.rounds)


def compare(shape: Shape, count: int) -> None:
    """Prints the lines of one shape."""
    method = ours(shape)
    inputs = views(method, shape)
    calls = {"ours": our_step(method, inputs), "theirs": their_step(method, inputs, shape)}
    title = f"{shape.batch} x {shape.seconds:g} s, dropout {shape.dropout}"
    rounds.show(title, rounds.measure(calls, count))


if __name__ == "__main__":
    main()
