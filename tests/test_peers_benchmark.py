"""benchmarks/peers.py and its contenders: they train the same thing, and say so where they cannot."""

import concurrent.futures
import multiprocessing
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from benchmarks import method_tables, peers
from benchmarks.contenders import jobs
from benchmarks.contenders import setup as setups
from benchmarks.contenders.process import Contender, built, installed
from ssl_jax import augment, interop
from ssl_jax.errors import UserError
from ssl_jax.experiment import build
from ssl_jax.interop import layouts, table
from ssl_jax.models.positions import sincos2d
from ssl_jax.train.state import parameter_count
from tests import tiny

VIEWS = dict(
    name="simclr", strength=0.5, hue=0.0, saturation=0.0, grayscale=0.0, blur=0.0, interpolation="bilinear", mean=(0.3,)
)
VIT = dict(
    name="vit",
    size="Ti",
    image_size=8,
    patch_size=2,
    channels=1,
    width=24,
    depth=1,
    heads=3,
    mlp_dim=48,
    pooling="mean",
)
RESNET = dict(jobs.RESNET18, channels=1)


def config(model: dict = VIT) -> dict:
    """A run on the digits, with what all contenders can do."""
    plain = tiny.config("simclr", steps=12, schedule=dict(warmup_steps=2))
    return plain | {"views": dict(VIEWS), "model": dict(model)}


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not installed(name), reason="needs requirements-peers.txt and -nodeps")


needs_lightly = needs("lightly")


@pytest.mark.slow
@needs_lightly
def test_ours_and_lightly_train(data_dir):
    setup, judge, splits = setups.make(config(), data_dir)
    for name, workers in ("ours", None), ("lightly", 0):
        with Contender(name, setup, workers) as contender:
            before = contender.embed(splits[1][0])
            assert np.isfinite(contender.run(4))
            assert contender.time(1, 2) > 0
            features = [(contender.embed(images), labels) for images, labels in splits]
        assert before.shape == (len(splits[1][0]), 24)
        assert np.abs(features[1][0] - before).max() > 1e-3
        assert judge(*features).keys() == {"knn_full", "linear"}


def table_config(method: str, **leaves) -> dict:
    """The config of a method that contenders meet on OpenMoji, with a tiny ViT, eight made-up pictures a batch."""
    model = dict(jobs.VIT, width=12, depth=1, mlp_dim=24)
    where = next(name for name, methods in jobs.TABLES.items() if method in methods)
    plain = jobs.config_of(where, method, steps=20, batch_size=8, model=model)
    plain["data"] |= dict(mock=16)
    for part, settings in leaves.items():
        plain[part] |= settings
    return plain


def quiet() -> None:
    """What the process of `apart` begins with."""
    warnings.simplefilter("ignore")
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module")
def apart():
    """Calls functions in a process that all contenders share: what they import and set stays there."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, quiet) as pool:
        yield lambda *call: pool.submit(*call).result()


def judged_student_teacher(setup: setups.Setup) -> tuple[np.ndarray, ...]:
    """Features of stable-pretraining's BYOL after two steps: those that are judged, the student's, the teacher's."""
    contender, pictures = built("stable-pretraining", setup, 0), setup.images[:8].astype(np.float32) / 255
    contender.run(2)
    judged, networks = contender.embed(setup.images[:8]), contender.module.backbone
    return judged, *(np.asarray(forward(pictures)) for forward in (networks.forward_student, networks.forward_teacher))


def two_steps(name: str, setup: setups.Setup, workers: int | None) -> tuple[float, set[str], int]:
    """The loss of a contender's second step, the weights that stayed as they were, the number of all weights.

    A target's average of two equal weights, 1 or less, is off by 1e-7 or less; a rate of 1e-3 moves it by 1e-5 or more.
    """
    contender = built(name, setup, workers)
    before = weights(contender)
    loss = contender.run(2)
    after = weights(contender)
    return loss, {path for path in before if np.abs(before[path] - after[path]).max() < 1e-6}, len(before)


def weights(contender) -> dict[str, np.ndarray]:
    """The weights of a contender and of its target networks."""
    if hasattr(contender, "method"):
        return {path: weight.detach().numpy().copy() for path, weight in contender.method.named_parameters()}
    flat = nnx.to_flat_state(nnx.state(contender.module))  # its target networks have a type of their own
    floats = [(path, weight[...]) for path, weight in flat if jnp.issubdtype(weight[...].dtype, jnp.floating)]
    return {".".join(map(str, path)): np.array(weight) for path, weight in floats}


PEERS = [(name, method, 0) for name in ("lightly", "stable-pretraining") for method in peers.METHODS[name]]
PEERS.append(("stable-pretraining", "simclr", None))


def never_trained(name: str, method: str) -> set[str]:
    """Weights without a gradient: tokens that are not read; sines and cosines, gains of DINO's prototypes."""
    if name == "stable-pretraining":
        networks = ("backbone.student", "backbone.teacher") if method == "byol" else ("backbone",)
        return {f"{network}.cls_token" for network in networks}
    if method == "mae":
        return {"backbone.vit.pos_embed", "backbone.mask_token", "decoder.pos_embed"}
    targets = ("", "target_") if method in ("byol", "dino") else ("",)
    fixed = ["backbone.pos_embed"] + ["head.last_layer.weight_g"] * (method == "dino")
    return {target + path for target in targets for path in fixed}


@pytest.mark.parametrize("name, method, workers", [pytest.param(*peer, marks=needs(peer[0])) for peer in PEERS])
def test_each_method_of_each_peer_trains_all_of_its_weights(name, method, workers, apart, data_dir):
    """Its first steps are not of rate 0, as in a warm-up, and nothing changes by decay alone."""
    leaves = dict(schedule=dict(warmup_steps=0), optimizer=dict(weight_decay=0.0))
    setup = setups.make(table_config(method, **leaves), data_dir)[0]
    loss, still, number = apart(two_steps, name, setup, workers)
    assert np.isfinite(loss) and number > 20
    assert still == never_trained(name, method)


@needs("stable-pretraining")
def test_the_student_of_stable_pretraining_is_judged(apart, data_dir):
    setup = setups.make(table_config("byol", schedule=dict(warmup_steps=0)), data_dir)[0]
    judged, student, teacher = apart(judged_student_teacher, setup)
    np.testing.assert_allclose(judged, student, atol=1e-5)
    assert np.abs(judged - teacher).max() > 1e-3


@needs_lightly
@pytest.mark.parametrize("model", [VIT, RESNET], ids=["vit", "resnet"])
def test_network_in_pytorch_has_as_many_parameters(model, data_dir):
    from benchmarks.contenders import torch_networks

    theirs = torch_networks.backbone(setups.make(config(model), data_dir)[0])
    ours = build(config(model), data_dir=data_dir).method.backbone
    assert theirs.num_features == ours.features
    assert sum(p.numel() for p in theirs.parameters() if p.requires_grad) == parameter_count(ours)


@needs_lightly
@pytest.mark.parametrize(
    "model, read",
    [(VIT, interop.vit.from_timm), (RESNET, interop.resnet.from_torchvision)],
    ids=["vit", "resnet"],
)
def test_network_in_pytorch_gives_our_features_of_the_same_weights(model, read, data_dir):
    from benchmarks.contenders import torch_networks, torch_views

    setup, _, (_, (images, _)) = setups.make(config(model), data_dir)
    theirs, ours = torch_networks.backbone(setup).eval(), build(config(model), data_dir=data_dir).method.backbone
    read(ours, {name: value.numpy() for name, value in theirs.state_dict().items()})
    pixels = torch_views.whole(setup, images[:16])
    features = theirs(pixels).detach().numpy()
    np.testing.assert_allclose(nnx.jit(ours)(pixels.permute(0, 2, 3, 1).numpy()), features, atol=1e-5)


@needs_lightly
def test_mae_of_lightly_gives_our_loss_and_features_of_the_same_weights(data_dir):
    from benchmarks.contenders import torch_networks
    from benchmarks.contenders.lightly_methods import METHODS

    plain = table_config("mae", schedule=dict(warmup_steps=0))
    setup, method = setups.make(plain, data_dir)[0], build(plain, data_dir=data_dir).method
    theirs = setup.build(METHODS, "method", torch_networks.backbone(setup))
    images = np.random.default_rng(0).normal(size=(8, 3, 32, 32)).astype(np.float32)
    order = np.random.default_rng(1).permuted(np.tile(np.arange(16), (8, 1)), axis=1)
    found = theirs.error(*map(torch_tensor, (images, order[:, :4], order[:, 4:]))).item()
    features = theirs.encoder(torch_tensor(images)).detach().numpy()

    take_weights_of_lightly(method, theirs)
    restore, pixels = np.argsort(order, axis=1), images.transpose(0, 2, 3, 1)
    views = dict(image=pixels, visible=order[:, :4], restore=restore, mask=(restore >= 4).astype(np.float32))
    loss = nnx.jit(lambda method, views: method.loss(views, jax.random.key(0))[0])
    assert loss(method, views) == pytest.approx(found, rel=1e-5)
    np.testing.assert_allclose(nnx.jit(method.backbone)(pixels), features, atol=1e-5)


def torch_tensor(array: np.ndarray):
    import torch

    return torch.tensor(array)


def take_weights_of_lightly(method: nnx.Module, theirs) -> None:
    """Sets the parameters of our MAE to those of lightly's."""
    arrays = {name: weight.numpy() for name, weight in theirs.state_dict().items()}
    part = lambda begin: {name.removeprefix(begin): arrays[name] for name in arrays if name.startswith(begin)}
    interop.vit.from_timm(method.backbone, part("backbone.vit."))
    decoder = part("decoder.") | {name: arrays[name] for name in arrays if name.startswith(("embedding", "prediction"))}
    positions = sincos2d(method.decoder.grid, method.decoder.width)
    np.testing.assert_allclose(decoder.pop("pos_embed")[0], positions, atol=1e-6)
    rows = [row for row in interop.vit._TIMM if row.ours.startswith(("stack", "norm"))]
    rows.append(table.Row("mask_token", "mask_token", layouts.ROW))
    for name in ("embedding", "prediction"):
        rows += table.Row(f"{name}.kernel", f"{name}.weight", layouts.LINEAR), table.Row(f"{name}.bias", f"{name}.bias")
    table.load(method.decoder, decoder, rows)


@needs_lightly
def test_views_of_mae_that_lightly_has_not_are_refused(data_dir):
    from benchmarks.contenders import torch_views

    leaves = dict(schedule=dict(warmup_steps=0), views=dict(interpolation="bilinear"))
    setup = setups.make(table_config("mae", **leaves), data_dir)[0]
    with pytest.raises(UserError, match="bicubically"):
        torch_views.transform(setup)


@needs_lightly
def test_whole_pictures_in_pytorch_are_ours(data_dir):
    from benchmarks.contenders import torch_views

    setup, _, (_, (images, _)) = setups.make(config(), data_dir)
    settings = {name: value for name, value in VIEWS.items() if name != "name"}
    view = augment.VIEWS["simclr"](types.SimpleNamespace(shapes={"image": (8, 8, 1)}), **settings)
    evaluated = jax.vmap(view.evaluate)({"image": images[:16]})
    np.testing.assert_allclose(evaluated, torch_views.whole(setup, images[:16]).permute(0, 2, 3, 1), atol=1e-6)


# Parameters that are trained, in lightly beyond ours; see "What differs" in docs/peers.md.
BEYOND_OURS = {
    "simclr": 64,  # the offset of the last normalisation
    "byol": 0,
    "barlow_twins": 256,  # biases of the last layer
    "vicreg": 256,
    "simsiam": 0,
    "dino": 0,
    "mae": 12,  # a mask token of the encoder, which nothing reads
}


def trained(setup: setups.Setup) -> int:
    """How many parameters lightly trains."""
    return sum(weight.numel() for weight in built("lightly", setup, 0).method.parameters() if weight.requires_grad)


@needs_lightly
@pytest.mark.parametrize("method", peers.METHODS["lightly"])
def test_methods_of_lightly_have_as_many_parameters_but_for_what_is_stated(method, apart, data_dir):
    plain = table_config(method, schedule=dict(warmup_steps=0))
    ours = parameter_count(build(plain, data_dir=data_dir).method)
    assert apart(trained, setups.make(plain, data_dir)[0]) - ours == BEYOND_OURS[method]


SHAPES = {
    "backbone.kernel": (3, 3, 2, 4), "backbone.scale": (4,), "backbone.bias": (4,),
    "predictor.kernel": (4, 5), "predictor.bias": (5,),
}  # fmt: skip


@needs_lightly
@pytest.mark.parametrize("method", ["barlow_twins", "simsiam"], ids=["plain", "predictor_at_constant_rate"])
def test_adamw_in_pytorch_updates_as_ours(method, data_dir):
    """Decay and what it leaves out, rates by step and by part; one gradient is of the size of eps.

    An update is about the rate, 0.1 or less. 1 - b2**t, a double in PyTorch, has an error of 2**-25 / (1 - b2) = 3e-5
    in float32 and the update half of that: 9e-6 after six steps, and 4e-6 is seen. A step of decay is 5e-3 of a weight.
    """
    import torch

    from benchmarks.contenders import torch_optimizers

    plain = table_config(method, optimizer=dict(learning_rate=0.1), schedule=dict(warmup_steps=2))
    setup, draw = setups.make(plain, data_dir)[0], np.random.default_rng(0)
    drawn = lambda: {path: draw.normal(size=shape).astype(np.float32) for path, shape in SHAPES.items()}
    ours, update = jax.tree.map(jnp.asarray, drawn()), build(plain, data_dir=data_dir).recipe.optimizer
    theirs = torch.nn.ModuleDict({"backbone": torch.nn.ParameterDict(), "predictor": torch.nn.ParameterDict()})
    for path, weight in ours.items():
        part, name = path.split(".")
        theirs[part][name] = torch.tensor(np.asarray(weight))
    optimizer, state = setup.build(torch_optimizers.OPTIMIZERS, "optimizer", setup, theirs), update.init(ours)
    for number in range(6):
        gradients = drawn()
        gradients["backbone.bias"] *= 1e-8
        for path, weight in theirs.named_parameters():
            weight.grad = torch.tensor(gradients[path])
        optimizer.step(number)
        updates, state = update.update(gradients, state, ours)
        ours = optax.apply_updates(ours, updates)
        for path, weight in theirs.named_parameters():
            np.testing.assert_allclose(ours[path], weight.detach(), rtol=0, atol=1e-5, err_msg=f"{path}, {number}")


@pytest.mark.parametrize(
    "part, leaves",
    [("views", dict(solarize=0.2)), ("optimizer", dict(clip_norm=1.0)), ("optimizer", dict(bias_rate=0.3))],
    ids=["solarize", "clip_norm", "bias_rate"],
)
@needs_lightly
def test_what_has_no_counterpart_is_refused(part, leaves, data_dir):
    from benchmarks.contenders import torch_networks, torch_optimizers, torch_views

    plain = config()
    plain[part] = plain[part] | leaves
    setup = setups.make(plain, data_dir)[0]
    with pytest.raises(UserError, match=next(iter(leaves))):
        if part == "views":
            torch_views.transform(setup)
        else:
            setup.build(torch_optimizers.OPTIMIZERS, "optimizer", setup, torch_networks.backbone(setup))


def test_results_of_changed_or_gone_configs_are_left_out(capsys):
    now, changed = "accuracy/small_openmoji/byol/ours/seed0", "throughput/vit/simclr"
    gone = "throughput/no_network/simclr", "accuracy/small_openmoji/no_method/ours/seed0"
    found = {now: {"config": jobs.digest(now)}, changed: {"config": "0"}, **{key: {} for key in gone}}
    assert list(method_tables.fresh(found, jobs.digest)) == [now]
    said = capsys.readouterr().out
    assert all(key in said for key in (changed, *gone)) and now not in said


def test_a_digest_tells_configs_apart():
    keys = "throughput/vit/byol", "throughput/resnet18/byol", "accuracy/small_openmoji/byol", "throughput/vit/simclr"
    keys += "throughput/masked_vit/mae", "accuracy/masked_openmoji/mae"
    assert len({jobs.digest(key) for key in keys} - {None}) == len(keys)
    assert jobs.digest("accuracy/small_openmoji/byol/ours/seed0") == jobs.digest(
        "accuracy/small_openmoji/byol/ours/seed1"
    )
