"""How alike two sentences are by the embeddings of a run, from its folder."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy import stats

import launch
from ssl_jax.data import glue
from ssl_jax.experiment import run, similarity
from ssl_jax.experiment.build import build
from tests import tiny


class Given(nnx.Module):
    """Embeds a sentence as a vector of its tokens."""

    def embed(self, inputs):
        return jnp.asarray(inputs["tokens"], jnp.float32)


def test_cosines_are_correlated_with_the_scores():
    rng = np.random.default_rng(0)
    texts = [{"tokens": rng.integers(1, 9, (7, 3))} for _ in range(2)]
    scores = rng.random(7).astype(np.float32)
    cosine = [a @ b / np.sqrt((a @ a) * (b @ b)) for a, b in zip(*(text["tokens"] for text in texts), strict=True)]
    found = similarity.correlations(Given(), texts, scores, 4)
    np.testing.assert_allclose(found["spearman"], stats.spearmanr(cosine, scores)[0], atol=1e-6)
    np.testing.assert_allclose(found["pearson"], stats.pearsonr(cosine, scores)[0], atol=1e-5)


def test_each_sentence_stands_alone(data_dir):
    opened = build(tiny.config("bert"), data_dir=data_dir).data
    spell = (opened.tokenizer, opened.vocabulary, 24)
    (first, second), scores = glue.read_apart("stsb", "validation", *spell, data_dir=data_dir, mock=5)
    pairs = glue.read("stsb", "validation", *spell, data_dir=data_dir, mock=5)
    np.testing.assert_array_equal(scores, pairs["answer"])
    for text in (first, second):
        assert ((text["tokens"] == opened.vocabulary.sep_id).sum(1) == 1).all() and not text["segments"].any()
        assert (text["tokens"][:, 0] == opened.vocabulary.cls_id).all()
    begins = pairs["tokens"][:, 1:4]
    np.testing.assert_array_equal(first["tokens"][:, 1:4], begins)
    assert (second["tokens"][:, 1:4] != begins).any()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_dir):
    workdir = tmp_path_factory.mktemp("runs") / "simcse"
    less = dict(during=(), tasks=(), diagnostics=False)
    assert (
        run(tiny.config("simcse", steps=2, schedule=dict(warmup_steps=1), evaluate=less), workdir, data_dir=data_dir)
        == 0
    )
    return workdir


def test_a_run_is_tried_from_its_folder(folder, data_dir, capsys):
    command = ["evaluate", str(folder), "--task=similarity/stsb", "--task.mock=40"]
    assert launch.main([*command, f"--data_dir={data_dir}"]) == 0
    printed = dict(line.split(" = ") for line in capsys.readouterr().out.splitlines() if " = " in line)
    kept = json.loads((folder / "similarity.json").read_text())["similarity/stsb"]
    assert kept.pop("settings") == {"mock": 40, "batch_size": 256}
    assert printed == {name: f"{value:.4f}" for name, value in kept.items()}
    assert set(kept) == {"spearman", "pearson", "untrained/spearman", "untrained/pearson"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task=similarity/mrpc"], "pairs with scores are in --task=similarity/stsb"),
        (["--task=similarity/stsb", "--task.mock=-1"], "mock -1 must be at least 0"),
        (["--task=similarity/stsb", "--task.epochs=1"], "epochs"),
    ],
)
def test_wrong_settings(arguments, message, folder, data_dir, capsys):
    assert launch.main(["evaluate", str(folder), *arguments, f"--data_dir={data_dir}"]) == 2
    assert message in capsys.readouterr().err
