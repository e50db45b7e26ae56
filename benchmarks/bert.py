"""A bare training step of BERT, ours beside transformers' on PyTorch: forward, backward and an update by AdamW.

    python benchmarks/bert.py [--batch=32] [--length=128] [--dropouts 0.0 0.1] [--rounds=10] [--threads=2]

The model is BERT-mini (4 layers, 256 wide, 4 heads; Turc et al. 2019) with both of BERT's tasks: our `methods.BERT`,
and `BertForPreTraining`, whose weights start as ours. Both take the same sequences with 15 % hidden; masks are drawn
before. Ours makes logits at the hidden positions only. "Full" is theirs as it comes, which makes them at all positions;
"gather" is theirs with its own head on the hidden positions only. Rounds of one step each take turns in one process;
ratios are to ours. The median and the best round are shown, of wall time and of the time of all processors. Needs
requirements-peers.txt.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import rounds  # noqa: E402

VOCABULARY, RATE, DECAY = 30_522, 1e-4, 0.01


@dataclasses.dataclass(frozen=True)
class Shape:
    """Of a batch, and how much is dropped."""

    batch: int
    length: int
    dropout: float


def views(shape: Shape) -> dict:
    """Sequences in two halves without padding, with 15 % of their tokens hidden, as NumPy arrays."""
    import jax
    import numpy as np

    from ssl_jax import masking

    rng = np.random.default_rng(0)
    tokens = rng.integers(1000, VOCABULARY, (shape.batch, shape.length)).astype(np.int32)
    settings = dict(special_ids=(0, 100, 101, 102, 103), mask_id=103, vocab_size=VOCABULARY)
    hide = lambda key, row: masking.bert_tokens(key, row, max_predictions=round(0.15 * shape.length), **settings)
    hidden = jax.vmap(hide)(jax.random.split(jax.random.key(0), shape.batch), tokens)
    halves = np.repeat(np.arange(2, dtype=np.int32), shape.length // 2)[None].repeat(shape.batch, axis=0)
    follows = rng.integers(0, 2, shape.batch).astype(np.int32)
    pairs = {"segments": halves, "parts": np.ones_like(tokens), "next": follows}
    return {name: np.asarray(array) for name, array in hidden.items()} | pairs


def ours(shape: Shape):
    """Our method with its weights."""
    import types

    from flax import nnx

    from ssl_jax.methods import METHODS
    from ssl_jax.models import TextTransformer

    def build() -> nnx.Module:
        sizes = dict(vocab_size=VOCABULARY, max_length=shape.length, width=256, depth=4, heads=4, mlp_dim=1024)
        encoder = TextTransformer(**sizes, dropout=shape.dropout, rngs=nnx.Rngs(0))
        view = types.SimpleNamespace(told="next", pad_id=0, lists=True)
        return METHODS["bert"](encoder, view, rngs=nnx.Rngs(1))

    return nnx.jit(build)()


def our_step(method, inputs: dict) -> Callable[[], object]:
    """A call that makes one step, compiled as the train step is."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    from ssl_jax.train import compiler, mesh

    graph, params, rest = nnx.split(method, nnx.Param, ...)
    optimizer = optax.adamw(RATE, weight_decay=DECAY)

    def step(state, inputs, key):
        params, moments = state
        loss = lambda params: nnx.merge(graph, params, rest, copy=True).loss(inputs, key)[0]
        updates, moments = optimizer.update(jax.grad(loss)(params), moments, params)
        return optax.apply_updates(params, updates), moments

    inputs = jax.tree.map(jnp.asarray, inputs)
    state, key = (params, optimizer.init(params)), jax.random.key(2)
    options = compiler.options(mesh.make_mesh(), params)
    compiled = jax.jit(step, donate_argnums=0, compiler_options=options).lower(state, inputs, key).compile()

    def call():
        nonlocal state
        state = jax.block_until_ready(compiled(state, inputs, key))

    return call


def their_step(method, inputs: dict, shape: Shape, *, gather: bool) -> Callable[[], object]:
    """The same in transformers, from the same weights."""
    import tests.fidelity.conftest  # noqa: F401  # isort: skip  (makes torchvision importable)
    import numpy as np
    import torch
    import transformers

    from ssl_jax import interop

    config = transformers.BertConfig(
        vocab_size=VOCABULARY, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
        max_position_embeddings=shape.length, hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=shape.dropout,
    )  # fmt: skip
    model = transformers.BertForPreTraining(config).train()
    heads = dict(pooler=method.pooler, mlm_head=method.mlm_head, next_head=method.next_head)
    weights = interop.bert.to_transformers(method.backbone, **heads)
    model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()}, strict=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    given = {name: torch.tensor(array).long() for name, array in inputs.items() if name != "weights"}
    counted = inputs["weights"] > 0
    labels = torch.full(given["tokens"].shape, -100)
    rows = np.nonzero(counted)[0]
    labels[rows, given["positions"][counted]] = given["targets"][counted]
    shown = dict(input_ids=given["tokens"], token_type_ids=given["segments"], attention_mask=given["parts"])
    places, targets = given["positions"][:, :, None].expand(-1, -1, 256), given["targets"].clone()
    targets[torch.tensor(~counted)] = -100
    entropy = torch.nn.functional.cross_entropy

    def loss():
        if not gather:
            return model(**shown, labels=labels, next_sentence_label=given["next"]).loss
        found = model.bert(**shown)
        logits = model.cls.predictions(found.last_hidden_state.gather(1, places))
        hidden = entropy(logits.flatten(0, 1), targets.flatten())
        return hidden + entropy(model.cls.seq_relationship(found.pooler_output), given["next"])

    def call():
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128, help="tokens of a sequence")
    parser.add_argument("--dropouts", type=float, nargs="+", default=[0.0, 0.1])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    rounds.use_processors(options.threads)
    rounds.head("ours", "full", "gather")
    for dropout in options.dropouts:
        compare(Shape(options.batch, options.length, dropout), options.rounds)


def compare(shape: Shape, count: int) -> None:
    """Prints the lines of one shape."""
    method, inputs = ours(shape), views(shape)
    theirs = {name: their_step(method, inputs, shape, gather=name == "gather") for name in ("full", "gather")}
    calls = {"ours": our_step(method, inputs), **theirs}
    rounds.show(f"{shape.batch} x {shape.length}, dropout {shape.dropout}", rounds.measure(calls, count))


if __name__ == "__main__":
    main()
