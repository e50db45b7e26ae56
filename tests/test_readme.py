"""What README.md says works as it stands there."""

import pathlib
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax import config as configs
from ssl_jax.experiment import build
from ssl_jax.methods import METHODS
from ssl_jax.train.loop import jit_train_step
from ssl_jax.train.mesh import make_mesh, put_rows
from tests.readme import TEXT
from tests.test_configs import PAPERS

ROOT = pathlib.Path(__file__).resolve().parents[1]


def python_block(containing: str) -> dict:
    """The names that the one Python example with `containing` in it defines."""
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if containing in block]
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    return names


def test_added_method_trains(tmp_path: pathlib.Path):
    method, config = python_block("class SimSiam")["SimSiam"], python_block("simsiam")["get_config"]()
    config.batch_size, config.model.stage_sizes, config.model.base_width = 16, (1,), 8  # sizes only, for speed
    table, mesh = METHODS | {"simsiam": method}, make_mesh(jax.devices()[:1])
    experiment = build(configs.plain(config), data_dir=str(tmp_path), mesh=mesh, method_table=table)
    recipe, state = experiment.recipe, experiment.initial_state()
    step, before = jit_train_step(recipe, state), jax.tree.map(np.array, state.params)
    for t, batch in experiment.batches(0):
        state, metrics = step(state, put_rows(batch, recipe.mesh))
        if t == 2:
            break
    assert -1 <= metrics["loss"] <= 1 and metrics["bad_step"] == -1 and metrics["projection_std"] > 0
    assert any(np.any(a != b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(state.params)))


def test_losses_alone_agree(eight_devices: list[jax.Device]):
    names = python_block("everywhere")
    np.testing.assert_allclose(names["sharded_loss"], names["loss"], rtol=1e-6)
    np.testing.assert_allclose(names["mapped_loss"], names["loss"], rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        names["sharded_gradients"],
        names["gradients"],
    )


def test_losses_in_other_peoples_steps():
    views = jax.random.normal(jax.random.key(0), (2, 8, 6))
    value, params = python_block("plain_step")["plain_step"](jnp.eye(6), *views)
    assert np.isfinite(value) and np.any(params != jnp.eye(6))
    steps = python_block("flax_step")
    model = nnx.Linear(6, 6, rngs=nnx.Rngs(0))
    first = steps["flax_step"](model, *views)
    assert steps["flax_step"](model, *views) < first
    model = eqx.nn.Linear(6, 6, key=jax.random.key(1))
    first, model = steps["equinox_step"](model, *views)
    assert steps["equinox_step"](model, *views)[0] < first


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"configs/\w+\.py(?::\w+)?", TEXT)) - {"configs/simsiam_digits.py"})
)
def test_configs_exist(name: str):
    configs.load(str(ROOT / name))


def test_all_configs_are_mentioned():
    assert all(path.stem in TEXT for path in (ROOT / "configs").glob("*.py"))


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("simclr_openmoji", ("knn_full", "linear")),
        ("mae_openmoji", ("knn_full", "linear")),
        ("bert_kjv", ("masked_accuracy", "next_sentence_accuracy", "linear")),
    ],
)
def test_first_table_holds_what_configs_expect(name, measures):
    expected = configs.plain(configs.load(str(ROOT / "configs" / f"{name}.py")))["expected"]["results"]
    rows = TEXT[TEXT.index(f"\n| `{name}` |") :].strip().splitlines()[: len(measures)]
    reached = [float(row.split("|")[-2].strip(" *").split()[0]) for row in rows]
    assert reached == pytest.approx([100 * expected[measure] for measure in measures], abs=0.06)


def table_of_papers() -> str:
    """The table of papers, made of what the configs expect."""
    lines = ["| config | source | parameters | published |", "|---|---|---|---|"]
    for path in PAPERS:
        expected = configs.plain(configs.load(str(path)))["expected"]
        of = {"linear": expected["results"].get("pretrained/linear"), "fine-tuned": expected.get("fine_tuned")}
        of |= {"kNN": expected["results"].get("pretrained/knn_full"), "supervised": expected.get("supervised")}
        of |= {"MNLI": expected.get("mnli"), "attentive": expected.get("attentive")}
        of |= {"zero-shot": expected.get("zero_shot")}
        numbers = [f"{100 * value:.1f} % {name}" for name, value in of.items() if value is not None]
        numbers += [f"GLUE {expected['glue']}"] if "glue" in expected else []
        numbers += [f"{100 * expected['analogies']:.0f} % of analogies"] if "analogies" in expected else []
        numbers += [f"{100 * expected['word_error_rate']:.1f} % word errors"] if "word_error_rate" in expected else []
        numbers += [f"STS {expected['sts']}"] if "sts" in expected else []
        size = f"{expected['parameters'] / 1e6:.0f} M" if "parameters" in expected else ""
        cells = (f"`{path.stem}`", expected["source"], size, ", ".join(numbers) or "none stated there")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_table_of_papers_is_that_of_the_configs():
    assert table_of_papers() in TEXT, f"in README.md it should be\n{table_of_papers()}"


def test_map_names_every_room():
    rooms = {path.parent.name for path in (ROOT / "ssl_jax").glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"^ +(\w+)/ +\d", TEXT, re.MULTILINE))
