"""Makes docs/peers.md from docs/peers.json, which benchmarks/peers.py fills.

python benchmarks/peers_page.py
"""

import importlib.metadata
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import method_tables  # noqa: E402
from benchmarks.contenders.jobs import MASKED, digest  # noqa: E402
from ssl_jax.train.workdir import write_atomically  # noqa: E402

RESULTS, PAGE = ROOT / "docs" / "peers.json", ROOT / "docs" / "peers.md"
PACKAGES = ("lightly", "torch", "timm", "torchvision", "stable-pretraining")
GOALS = {
    ("vit", "lightly"): 1.5,
    ("masked_vit", "lightly"): 1.5,
    ("resnet18", "lightly"): 0.9,
    ("resnet18", "stable-pretraining"): 2.5,
}
MEASURES = {"knn_full": "kNN", "linear": "linear probe"}
TOP = """# Beside other libraries

Made by `python benchmarks/peers.py throughput` and `python benchmarks/peers.py accuracy`, which train the same methods
with this project, with lightly on PyTorch, and with the JAX backend of stable-pretraining: same data, network, batch,
number of steps, optimizer, schedule, and strength of augmentation (`configs/small_*.py`), on the same machine.

Settings were chosen with runs of this project, on parts of the training split; peers train with the same. BYOL's and
SimSiam's were chosen anew, also there, after BYOL had been below its untrained network on the test split; BYOL's
`head_layers` after it had been below lightly's there.

What differs:

- Here, batches of uint8 pictures come from this project's feed, and views are made in the compiled step.
- lightly's transforms work on PIL pictures, one at a time, in a DataLoader; crops are resized bilinearly (for DINO
  bicubically), and so they are by everyone. This project's own default is bicubic, so that its accuracies here are not
  those of [methods.md](methods.md). Networks are timm's ViT and torchvision's ResNet-18 (with the stem
  for small pictures, in channels_last), initialised as ours; heads, losses and target updates are lightly's, as in its
  examples, which run them eagerly. For DINO's small crops timm resizes the table of positions, where ours takes sines
  at the places between.
- stable-pretraining's JAX backend has no batch normalisation in its projectors and predictors, approximates GELU,
  and trains the positions of its ViT, which decay, as does a class token that nothing reads. Its views on the device
  crop squares of a fifth of a picture or more, neither turn hue nor change saturation, and their strength cannot be
  set, so that its accuracy is measured with lightly's views from a DataLoader, at the strength of the others. It has no
  DINO. Its networks start as flax's layers do. Its BYOL is judged as the others are, by features of the online network,
  where its own evaluation takes the teacher's.
- Heads start as in each method's official code here (SimCLR's normal with a deviation of 0.01, most others as PyTorch's
  layers), but BYOL's as lightly's; in lightly as PyTorch's layers do, but for DINO's, which are truncated normals of
  0.02. The last layers of Barlow Twins' and VICReg's projectors have biases in both peers, which their losses take away
  again; lightly's last normalisation in SimCLR has an offset.
- The heads of SimCLR and DINO take batch statistics of all views together here, of each view in lightly.
- On a GPU, lightly trains there with views from the host, and everyone multiplies in float32.
- Momentum of BYOL's target rises by epochs in stable-pretraining, of which a run counts as ten.
"""
OF_MASKED = """- MAE is that of `configs/masked_*.py`, on patches of 4 pixels, and its crops are bicubic; of
  stable-pretraining's JAX backend there is none. lightly's masked ViT and decoder are put together as in its example,
  but without a class token, which our ViT has not either, and with targets that are normalised by patch, for which
  lightly has a function. They start as ours do. There hidden patches alone are predicted, here all, of which the loss
  takes the hidden ones.
"""
THROUGHPUT = """
## Speed: whole steps, views included

Milliseconds a step from uint8 pictures of 32x32 in memory: median of the rounds, in which contenders take turns, each
in a process of its own. Ratios, rounded down, are how many times as long a peer's step takes: median of rounds (lowest
to highest). Each peer has the quickest of its ways to make views, given after its time.
"""
ACCURACY = """
## Accuracy

Per cent of held-out pictures, mean ± standard deviation over seeds; features of all contenders are judged by this
project's kNN of 20 neighbours and its linear probe. Of OpenMoji's 387 one is 0.26 %; all seeds share them, so that the
spread leaves out how much other pictures would change. "Holds": none of our runs became NaN, and our mean is not below
the peer's by more than the spread, the root of the sum of both variances.

With seeds 0 to 2 DINO and VICReg did not hold on OpenMoji (kNN 49.5 ± 0.7 to lightly's 50.6 ± 0.7, and 52.3 ± 0.9 to
54.4 ± 0.7), nor BYOL on Fashion-MNIST (72.4 ± 1.2 to 74.0 ± 0.6); for them, and for BYOL on OpenMoji, three seeds more
were run (`--seeds 6`). Fashion-MNIST is `--tables small_fashion_mnist masked_fashion_mnist`.
"""


def read() -> dict[str, dict]:
    """Everything found so far, by job; what was found with another config than today's is left out, and said so."""
    return method_tables.fresh(json.loads(RESULTS.read_text()) if RESULTS.exists() else {}, digest)


def hardware(packages: tuple[str, ...] = PACKAGES) -> str:
    """What a job ran on, in words, with the versions of these packages."""
    versions = []
    for package in packages:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    return ", ".join((method_tables.hardware(), *versions))


def page(found: dict[str, dict]) -> str:
    """docs/peers.md."""
    text = TOP + (OF_MASKED if set(MASKED) & set(_parts(found, 2)) else "")
    speeds = {key: entry for key, entry in found.items() if key.startswith("throughput/")}
    scores = {key: entry for key, entry in found.items() if key.startswith("accuracy/")}
    if speeds:
        text += THROUGHPUT + "".join(_speeds(network, speeds) for network in sorted(_parts(speeds, 1)))
    if scores:
        text += ACCURACY + "".join(_scores(table, scores) for table in sorted(_parts(scores, 1)))
    return text + "\nMeasured on: " + "; ".join(sorted({entry["hardware"] for entry in found.values()})) + ".\n"


def write(found: dict[str, dict]) -> None:
    """Writes docs/peers.md."""
    if not found:
        raise SystemExit("There are no results yet: run benchmarks/peers.py.")
    write_atomically(PAGE, page(found))


def over_seeds(found: dict[str, dict], table: str, method: str, contender: str, measure: str) -> np.ndarray:
    """One score of each run of a contender, NaN where the run became NaN."""
    runs = f"accuracy/{table}/{method}/{contender}/"
    return np.array([found[key].get(measure, np.nan) for key in sorted(found) if key.startswith(runs)])


def _parts(keys: dict, index: int) -> list[str]:
    """The different names that stand at one place of the keys, in order of appearance."""
    return list(dict.fromkeys(key.split("/")[index] for key in keys))


def _speeds(network: str, found: dict) -> str:
    entries = {key.split("/")[2]: entry for key, entry in found.items() if key.split("/")[1] == network}
    peers = sorted({peer for entry in entries.values() for peer in entry["seconds"]} - {"ours"})
    batch = next(iter(entries.values()))["batch_size"]
    lines = [f"\n### {network}, batch {batch}\n"]
    lines.append("| method | ours | " + " | ".join(f"{peer} | ratio" for peer in peers) + " | reached |")
    lines.append("|---|---|" + "---|" * (2 * len(peers) + 1))
    for method, entry in sorted(entries.items()):
        cells = [_milliseconds(entry["seconds"]["ours"])]
        for peer in peers:
            cells += _beside(entry, peer)
        lines.append(f"| {method} | " + " | ".join(cells) + f" | {_reached(network, entry)} |")
    goals = [f"{GOALS[network, peer]} times {peer}'s" for peer in peers if (network, peer) in GOALS]
    return "\n".join(lines) + "\n\nReached: a throughput of at least " + " and ".join(goals) + ".\n"


def ratios(entry: dict, peer: str) -> np.ndarray:
    """How many times as long as ours a peer's step takes, by round."""
    return np.array(entry["seconds"][peer]) / np.array(entry["seconds"]["ours"])


def _reached(network: str, entry: dict) -> str:
    """Whether the median ratio to each peer that was timed is its goal at least."""
    goals = {peer: GOALS[network, peer] for peer in entry["seconds"] if (network, peer) in GOALS}
    verdicts = {peer: np.median(ratios(entry, peer)) >= goal for peer, goal in goals.items()}
    if all(verdicts.values()):
        return "yes"
    return "NO: " + ", ".join(peer for peer, reached in verdicts.items() if not reached)


def _beside(entry: dict, peer: str) -> list[str]:
    if peer not in entry["seconds"]:
        return ["", ""]
    way = entry["workers"][peer]
    how = "on the device" if way is None else f"{way} workers"
    return [f"{_milliseconds(entry['seconds'][peer])}, {how}", spread_of_ratios(ratios(entry, peer))]


def spread_of_ratios(ratios: Sequence[float]) -> str:
    """Median (lowest to highest), rounded down."""
    least, middle, most = np.floor(100 * np.quantile(ratios, [0, 0.5, 1])) / 100
    return f"{middle:.2f} ({least:.2f} to {most:.2f})"


def _milliseconds(seconds: list[float]) -> str:
    return f"{1e3 * np.median(seconds):.0f}"


def _scores(table: str, found: dict) -> str:
    keys = {key: entry for key, entry in found.items() if key.split("/")[1] == table}
    contenders = ["ours", *sorted(set(_parts(keys, 3)) - {"ours"})]
    text = ""
    for measure, title in MEASURES.items():
        lines = [f"\n### {table}, {title}\n"]
        lines.append("| method | seeds | " + " | ".join(contenders) + " | holds |")
        lines.append("|---|---|" + "---|" * (len(contenders) + 1))
        for method in sorted(_parts(keys, 2)):
            runs = {name: 100 * over_seeds(found, table, method, name, measure) for name in contenders}
            cells = [method, _seeds(runs), *map(_spread, runs.values()), _verdict(runs)]
            lines.append("| " + " | ".join(cells) + " |")
        text += "\n".join(lines) + "\n"
    return text


def _seeds(runs: dict[str, np.ndarray]) -> str:
    """How many runs each contender has that has any: one number where all have as many."""
    counts = [str(len(values)) for values in runs.values() if len(values)]
    return counts[0] if len(set(counts)) == 1 else " / ".join(counts)


def _ended(values: np.ndarray) -> np.ndarray:
    """The scores of the runs that ended well; of the others they are NaN."""
    return values[~np.isnan(values)]


def _spread(values: np.ndarray) -> str:
    """Mean and deviation of the runs that ended well, and how many did not."""
    ended, runs = _ended(values), len(values)
    text = f"{ended.mean():.1f}" if len(ended) else ""
    text += f" ± {ended.std(ddof=1):.1f}" if len(ended) > 1 else ""
    return text if len(ended) == runs else f"{text} ({runs - len(ended)} of {runs} runs became NaN)".strip()


def _verdict(runs: dict[str, np.ndarray]) -> str:
    """Whether all of ours ended well, and are at least each peer's within the spread; '' where that is unknown."""
    ours = runs["ours"]
    if np.isnan(ours).any():
        return "NO"
    peers = [_ended(values) for name, values in runs.items() if name != "ours"]
    peers = [values for values in peers if len(values) > 1]
    if not peers or len(ours) < 2:
        return ""
    allowed = lambda theirs: np.hypot(ours.std(ddof=1), theirs.std(ddof=1))
    return "yes" if all(ours.mean() >= theirs.mean() - allowed(theirs) for theirs in peers) else "NO"


if __name__ == "__main__":
    write(read())
