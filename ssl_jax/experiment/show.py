"""What a run shows to people: its first words, figures on the way, and what it found at the end."""

import functools
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import rich
from flax import nnx

from ssl_jax import data, evaluate, report
from ssl_jax.experiment import spectrograms
from ssl_jax.experiment.build import Experiment
from ssl_jax.experiment.scores import Split, labelled_rows
from ssl_jax.train import state as states
from ssl_jax.train.workdir import Workdir

EXAMPLES, VIEWS, NEIGHBOURS, GUESSES = 6, 4, 6, 3


def announce(experiment: Experiment, folder: Workdir) -> None:
    """Says what will run, on what, and where its files go."""
    config, opened, recipe = experiment.config, experiment.data, experiment.recipe
    report.record_environment(folder.path)
    count = states.parameter_count(experiment.method)
    devices = jax.devices()
    lines = (
        f"{config['method']['name']} with {config['model']['name']} ({count / 1e6:.2f} M parameters)",
        f"data: {config['data']['name']}, {len(opened.train):,} training and {len(opened.eval):,} held-out examples",
        f"steps: {recipe.steps:,} of {recipe.batch_size} examples, on {len(devices)} x {devices[0].device_kind}",
        f"files: {folder.path}",
    )
    print("\n".join(lines), flush=True)


def views(experiment: Experiment, folder: Workdir) -> None:
    """Draws views.png, where that has not been done: pictures or spectrograms beside what the network will see."""
    target = folder.path / "figures" / "views.png"
    if experiment.data.spec.modality != "text" and not target.exists():
        draw_views(experiment, target)


def draw_views(experiment: Experiment, target: pathlib.Path) -> None:
    """Draws what the method's own `views` makes of some pictures or sounds: several times, and small crops once."""
    batch = _first(experiment.data.train, EXAMPLES)
    made = jax.jit(lambda batch, key: _pictures(experiment, batch, key))
    draw = functools.partial(made, batch)
    first, *others = jax.random.split(jax.random.key(experiment.recipe.seed), VIEWS)
    small = jax.device_get(draw(first))
    drawn = {name: small.pop(name) for name in ("view",) if name in small}
    if "view" in drawn and drawn["view"].shape[1] == 1:
        drawn["view"] = np.concatenate([drawn["view"], *(draw(key)["view"] for key in others)], axis=1)
    elif "view" in drawn:
        drawn["again"] = np.asarray(draw(others[0])["view"])  # the first and the second of a pair may differ in kind
    report.views(_originals(experiment, batch), drawn | small, target)


def _originals(experiment: Experiment, batch: Mapping[str, np.ndarray]) -> np.ndarray:
    """The pictures of a batch, its clips as pictures, or the spectrograms of its sounds: [N, H, W, C]."""
    if "image" not in batch:
        return spectrograms.recorded(batch, experiment.data.spec)
    return batch["image"] if batch["image"].ndim == 4 else report.film(batch["image"])


def _pictures(experiment: Experiment, batch: Mapping[str, np.ndarray], key: jax.Array) -> dict[str, jax.Array]:
    """The pictures among what the method's `views` gives, [N, V, h, w, C] in 0..1, by what they are called."""
    method = experiment.make_method(nnx.Rngs(0))  # no parameter is used
    if "image" not in batch:
        return spectrograms.drawn(method.views(batch, key), method.view, experiment.data.spec)
    channels, found = batch["image"].shape[-1], {}
    for name, images in method.views(batch, key).items():
        if name == "image" and batch["image"].ndim == 5:
            images = report.film(images)
        if images.ndim >= 4 and images.shape[-1] == channels and jnp.issubdtype(images.dtype, jnp.floating):
            images = method.view.displayable(images)
            called = {"image": "view", "local": "small"}.get(name, name)
            found[called] = images.reshape(len(images), -1, *images.shape[-3:])
    return found


def end(
    experiment: Experiment,
    method: nnx.Module,
    folder: Workdir,
    results: Mapping[str, float],
    splits: tuple[Split, Split],
    diagnosis: str | None,
) -> None:
    """Draws the last figures, writes report.html, prints the table, and says what to try next.

    Args:
      experiment: the run.
      method: trained, its arrays on one device.
      folder: its workdir.
      results: flat, as results.json holds them.
      splits: embeddings and labels of the labelled training split and of the test split.
      diagnosis: whether it has collapsed, in words; None where that was not asked.
    """
    figures = folder.path / "figures"
    _neighbours(experiment, splits, figures)
    _, (embeddings, labels) = splits
    if limit := experiment.plan.map_limit:
        names = experiment.data.spec.class_names
        report.embedding_map(embeddings, labels, names, figures / "embedding_map.png", limit)
    if hasattr(method, "reconstruct"):
        _reconstructions(experiment, method, figures)
    if hasattr(method, "logits_at"):
        _masked_tokens(experiment, method, figures)
    page = report.write(folder.path, results=results)
    rich.print(report.results_table(results, experiment.config["expected"]))
    if diagnosis is not None:
        print(f"Diagnosis: {diagnosis}")
    print(f"\nReport: {page}\nFigures: {figures}\nNumbers: {folder.path / 'results.json'}")
    print(
        "Next: open the report in a browser; try --config.seed=1 or another --config.optimizer.learning_rate, with "
        "another --workdir; or another file of configs/, for example --config=configs/mae_openmoji.py."
    )


def _first(source, count: int) -> dict[str, np.ndarray]:
    return next(data.examples(source, batch_size=count, limit=count))


def _neighbours(experiment: Experiment, splits: tuple[Split, Split], figures) -> None:
    """Held-out examples spread over the split, with their nearest training examples."""
    (train_x, train_y), (test_x, test_y) = splits
    chosen = np.linspace(0, len(test_x) - 1, EXAMPLES).astype(np.int64)
    similarities, found = evaluate.nearest(train_x, test_x[chosen], k=NEIGHBOURS)
    queries = experiment.data.eval.read(chosen)
    rows = labelled_rows(experiment)
    near = [experiment.data.eval_train.read(rows[row]) for row in found]
    names, target = experiment.data.spec.class_names, figures / "neighbours.png"
    if "image" in queries or "tokens" not in queries:
        images = np.stack([_originals(experiment, batch) for batch in near])
        labels = dict(query_labels=test_y[chosen], neighbour_labels=train_y[found], class_names=names) if names else {}
        report.nearest_neighbours_images(_originals(experiment, queries), images, target, **labels)
        return
    text = lambda batch: experiment.data.tokenizer.decode_batch(batch["tokens"].tolist())
    labels = {}
    if names:
        labels["query_labels"] = [names[label] for label in test_y[chosen]]
        labels["neighbour_labels"] = [[names[label] for label in row[:3]] for row in train_y[found]]
    texts = [text(batch)[:3] for batch in near]
    report.nearest_neighbours_text(text(queries), texts, target, similarities=similarities[:, :3], **labels)


def _reconstructions(experiment: Experiment, method, figures) -> None:
    batch, view = _first(experiment.data.eval, EXAMPLES + 2), experiment.method.view
    parts = jax.jit(lambda method, batch, key: method.reconstruct(batch, key))(method, batch, jax.random.key(0))
    turned = (lambda images: images) if "image" in batch else spectrograms.upright
    shown = lambda part: None if part is None else np.asarray(turned(view.displayable(part)))
    original, seen, painted = map(shown, parts)
    report.reconstructions(original, seen, painted, figures / "reconstructions.png")


def _masked_tokens(experiment: Experiment, method, figures) -> None:
    batch, tokenizer = _first(experiment.data.eval, EXAMPLES), experiment.data.tokenizer

    def fill(method, batch, key):
        views = method.views(batch, key)
        return {**views, "best": jax.lax.top_k(method.logits_at(views), GUESSES)[1]}

    filled = jax.device_get(jax.jit(fill)(method, batch, jax.random.key(0)))
    pad = experiment.data.spec.pad_id
    used = filled["weights"] > 0
    piece = tokenizer.id_to_token
    tokens = [[piece(int(token)) for token in row if token != pad] for row in batch["tokens"]]
    positions = [row[keep].tolist() for row, keep in zip(filled["positions"], used)]
    guesses = [[[piece(int(i)) for i in best] for best in row[keep]] for row, keep in zip(filled["best"], used)]
    report.masked_tokens(tokens, positions, guesses, figures / "masked_tokens.png")
