"""How many tokens a second RoBERTa learns from: rows packed with text, beside rows of one sentence and padding.

    python benchmarks/packing.py [--data_dir=DIR] [--batch=32] [--length=128] [--rounds=5]

The text is the King James Bible. "Padded" is `config.data.layout` 'sentences', a verse a row; "packed" is
'full_sentences', as many whole verses as fit, where documents of one row do not see each other; "as a whole" is the
same with rows that are attended to as a whole. Whole training steps as a run makes them, of the same model and as many
rows; batches are read before. Rounds of one step each take turns in one process. Tokens that are no padding are
counted, in the median and in the best round; ratios are to padded.
"""

import argparse
import itertools
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import rounds  # noqa: E402

KINDS = {
    "padded": dict(layout="sentences", separate_documents=True),
    "packed": dict(layout="full_sentences", separate_documents=True),
    "as a whole": dict(layout="full_sentences", separate_documents=False),
}
BATCHES = 8  # that the steps of a kind go round


def prepared(kind: str, options: argparse.Namespace) -> tuple[Callable[[], object], float]:
    """A call that makes one step, and how many tokens that are no padding a batch holds on average."""
    import jax
    import numpy as np

    from ssl_jax.experiment import build
    from ssl_jax.train import mesh as meshes
    from ssl_jax.train.loop import jit_train_step

    experiment = build(config(**KINDS[kind], **vars(options)), data_dir=options.data_dir)
    rows = [experiment.batch_at(step) for step in range(BATCHES)]
    real = np.mean([(batch["tokens"] != experiment.data.spec.pad_id).sum() for batch in rows])
    batches = itertools.cycle([meshes.put_rows(batch, experiment.recipe.mesh) for batch in rows])
    step, state = jit_train_step(experiment.recipe, experiment.abstract_state()), experiment.initial_state()

    def call():
        nonlocal state
        state, metrics = jax.block_until_ready(step(state, next(batches)))

    return call, float(real)


def config(*, layout: str, separate_documents: bool, batch: int, length: int, **_: Any) -> dict:
    """The plain config of a run with BERT-mini (4 layers, 256 wide, 4 heads)."""
    from ssl_jax import config as configs

    node = configs.load(str(ROOT / "configs" / "roberta_kjv.py"))
    node.batch_size = batch
    node.data.update(layout=layout, sequence_length=length)
    node.model.update(max_length=length, width=256, depth=4, heads=4, mlp_dim=1024)
    node.method.separate_documents = separate_documents
    return configs.plain(node)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", default=None, help="where TFDS data lies")
    parser.add_argument("--batch", type=int, default=32, help="rows")
    parser.add_argument("--length", type=int, default=128, help="tokens of a row")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    calls, real = {}, {}
    for kind in KINDS:
        calls[kind], real[kind] = prepared(kind, options)
    found = rounds.measure(calls, options.rounds)
    print(f"{'':12}{'no padding':>12}{'tokens/s':>12}{'ratio':>8}{'best':>12}{'ratio':>8}")
    rates = {}
    for kind in KINDS:
        seconds = [wall for wall, _ in found[kind]]
        rates[kind] = [real[kind] / reduce(seconds) for reduce in (statistics.median, min)]
        share = real[kind] / (options.batch * options.length)
        median, best = rates[kind]
        ratios = [rate / other for rate, other in zip(rates[kind], rates["padded"])]
        print(f"{kind:12}{share:12.0%}{median:12,.0f}{ratios[0]:8.2f}{best:12,.0f}{ratios[1]:8.2f}", flush=True)


if __name__ == "__main__":
    main()
