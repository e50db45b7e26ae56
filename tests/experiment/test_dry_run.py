"""`launch.py --dry_run` shows what would be trained, and leaves the workdir to a real run."""

import importlib
import pathlib

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from PIL import Image

import launch
from ssl_jax import augment
from ssl_jax.experiment import build, dry_run, show
from ssl_jax.experiment.dry_run import Cost, encoder_multiply_adds, part_sizes, step_cost, step_multiply_adds
from ssl_jax.experiment.flops import multiply_adds
from ssl_jax.methods import METHODS
from ssl_jax.methods.byol import BYOL
from ssl_jax.train.state import parameter_count
from tests import tiny

ROOT = pathlib.Path(__file__).resolve().parents[2]


def count(function, *shapes):
    return multiply_adds(jax.jit(function).trace(*(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes)).jaxpr)


def conv(x, kernel, stride=1):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=1
    )


def test_multiply_adds_by_hand():
    assert count(jnp.matmul, (2, 3, 5), (5, 7)) == 2 * 3 * 5 * 7
    assert count(lambda x, w: jax.lax.scan(lambda h, _: (h @ w, None), x, None, length=6)[0], (4, 4), (4, 4)) == 6 * 64
    assert count(lambda x, w: jax.lax.cond(x[0, 0] > 0, lambda: x @ w, lambda: x), (4, 4), (4, 4)) == 64
    assert count(jax.checkpoint(jnp.matmul), (4, 4), (4, 4)) == 64
    assert count(conv, (2, 8, 8, 3), (3, 3, 3, 5)) == 2 * 64 * 5 * 27
    grouped = lambda x, k: jax.lax.conv_general_dilated(
        x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=3
    )
    assert count(grouped, (2, 8, 8, 3), (3, 3, 1, 6)) == 2 * 64 * 6 * 9


@pytest.mark.parametrize("stride", [1, 2])
def test_the_gradients_of_a_convolution_cost_what_it_costs(stride):
    forward = count(lambda x, k: conv(x, k, stride), (2, 8, 8, 4), (4, 4, 4, 6))
    loss = lambda x, k: (conv(x, k, stride) ** 2).sum()
    both = count(jax.grad(loss, argnums=(0, 1)), (2, 8, 8, 4), (4, 4, 4, 6))
    assert both == 3 * forward


def test_the_parts_are_all_there_is(data_dir):
    experiment = build(tiny.config("byol"), data_dir=data_dir)
    sizes, method = part_sizes(experiment.method), experiment.method
    assert set(sizes) == {"backbone", "projector", "predictor", "target_backbone", "target_projector"}
    assert sum(trained for trained, _, _ in sizes.values()) == parameter_count(method)
    assert sizes["target_backbone"][:2] == (0, sizes["backbone"][0]) and sizes["projector"][1] == 0
    everything = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(method)))
    assert sum(map(sum, sizes.values())) == everything


def test_a_scanned_encoder_costs_as_much_as_the_same_without(data_dir):
    costs = []
    for scan in (True, False):
        experiment = build(tiny.config("mae", model=dict(scan=scan)), data_dir=data_dir)
        costs.append((encoder_multiply_adds(experiment), step_multiply_adds(experiment)))
    assert costs[0] == costs[1]


def test_the_memory_holds_the_state(data_dir):
    experiment = build(tiny.config("simclr"), data_dir=data_dir)
    cost, state = step_cost(experiment), experiment.initial_state()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves((state.params, state.variables, state.optimizer)))
    assert size < cost.memory["state and batch"] < 1.2 * size + 4096
    assert cost.memory["whole"] > cost.memory["state and batch"] and cost.memory["temporary"] > 0


def test_from_the_command_line_and_a_real_run_after_it(tmp_path, data_dir, capsys):
    settings = [f"--config={ROOT}/tests/tiny.py:byol", f"--workdir={tmp_path}", f"--data_dir={data_dir}"]
    settings += ["--config.steps=2", "--config.schedule.warmup_steps=1", "--config.evaluate.tasks=('knn_full',)"]
    assert launch.main([*settings, "--dry_run"]) == 0
    out = capsys.readouterr().out
    for text in ("config.steps = 2\n", "target_backbone", "multiply-adds", "Memory on each of 8 x", "Nothing was tra"):
        assert text in out
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")] == [pathlib.Path("dry_run/views.png")]
    assert launch.main(settings) == 0 and (tmp_path / "figures" / "views.png").exists()


def test_text_has_no_views_to_draw(tmp_path, data_dir, capsys, monkeypatch):
    uncompiled = lambda experiment: Cost(step_multiply_adds(experiment), {"whole": 0}, 0.0)
    monkeypatch.setattr(importlib.import_module("ssl_jax.experiment.dry_run"), "step_cost", uncompiled)
    assert dry_run(tiny.config("bert"), tmp_path, data_dir=data_dir) == 0
    assert "none are drawn" in capsys.readouterr().out and not list(tmp_path.iterdir())


class MultiCrop(BYOL):
    """What it sees are two large views and some small ones."""

    def views(self, batch, key):
        return augment.multi_crop(self.view, key, batch)


def test_the_picture_shows_what_the_method_sees(tmp_path, data_dir):
    widths = []
    for number, small in enumerate((0, 3)):
        config = tiny.config("byol") | {"views": {"name": "simclr", "local_crops": small, "local_size": 4}}
        table = METHODS | {"byol": MultiCrop}
        target = tmp_path / f"{number}.png"
        show.draw_views(build(config, data_dir=data_dir, method_table=table), target)
        widths.append(Image.open(target).width)
    assert widths[1] > widths[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, target",
    [("mae_imagenet_vit_b16", ""), ("moco_v2_cifar10_rn18", "target_"), ("dino_imagenet_vit_s16", "target_")],
)
def test_dry_run_of_a_paper(name, target, tmp_path, capsys):
    path = ROOT / "configs" / f"{name}.py"
    assert launch.main([f"--config={path}", "--dry_run", f"--workdir={tmp_path}", f"--data_dir={tmp_path}"]) == 0
    out = capsys.readouterr().out
    print(out[out.index("Encoder") :])
    assert "made-up examples stand in for it" in out and "Memory on each of" in out and target in out
    assert (tmp_path / "dry_run" / "views.png").stat().st_size > 0
