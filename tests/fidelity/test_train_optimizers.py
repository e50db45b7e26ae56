"""Optimizers against another implementation, over some steps with the same gradients."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

torch = pytest.importorskip("torch")

from peers import largest_error, random, solo  # noqa: E402

from ssl_jax.train import optimizers  # noqa: E402

RATES = (0.0, 0.3, 0.02, 0.1, 1e-4)  # from a warm-up's start; below and above the ratios of this trust coefficient


@pytest.mark.parametrize("all_parameters", [False, True])
@pytest.mark.parametrize("clip", [False, True])
def test_larc_is_solo_learns_lars(clip, all_parameters):
    weights = {"kernel": random(8, 5, seed=0), "scale": random(5, seed=1), "bias": torch.zeros(5)}
    weights |= {"idle.kernel": random(3, 3, seed=2), "zero.kernel": torch.zeros(4, 2)}
    theirs = {name: torch.nn.Parameter(weight.detach().clone()) for name, weight in weights.items()}
    ours = {name: jnp.asarray(weight.detach().numpy()) for name, weight in weights.items()}
    settings = dict(weight_decay=0.1, momentum=0.9)
    sgd = torch.optim.SGD(theirs.values(), lr=1.0, **settings)
    lars = solo("utils.lars").LARSWrapper(sgd, eta=0.02, clip=clip, exclude_bias_n_norm=not all_parameters)
    update = optimizers.larc(
        lambda step: jnp.array(RATES)[step],
        trust_coefficient=0.02, clip=clip, all_parameters=all_parameters, **settings,
    )  # fmt: skip
    state = update.init(ours)
    for number, rate in enumerate(RATES):
        gradients = {name: random(*w.shape, seed=10 * number).detach() for name, w in theirs.items()}
        gradients["idle.kernel"].zero_()
        for name, w in theirs.items():
            w.grad = gradients[name].clone()
        sgd.param_groups[0]["lr"] = rate
        lars.step()
        grads = {name: jnp.asarray(gradient.numpy()) for name, gradient in gradients.items()}
        updates, state = update.update(grads, state, ours)
        ours = optax.apply_updates(ours, updates)
        for name, w in theirs.items():
            assert largest_error(ours[name], w) < 1e-6, (number, name)
    assert np.any(np.asarray(ours["zero.kernel"]) != 0)


def test_adafactor_is_that_of_transformers():
    transformers = pytest.importorskip("transformers")
    weights = {"matrix": random(130, 140, seed=0), "stacked": random(2, 128, 130, seed=1), "vector": random(7, seed=2)}
    weights |= {"zero": torch.zeros(128, 128)}
    theirs = {name: torch.nn.Parameter(weight.detach().clone()) for name, weight in weights.items()}
    ours = {name: jnp.asarray(weight.detach().numpy()) for name, weight in weights.items()}
    peer = transformers.Adafactor(
        theirs.values(), lr=1.0, scale_parameter=True, relative_step=False, warmup_init=False, clip_threshold=0.9
    )
    rates = (0.01, 0.01, 0.004, 0.1, 1e-3)
    update = optimizers.adafactor(lambda step: jnp.array(rates)[step], clip_threshold=0.9)
    state = update.init(ours)
    for number, rate in enumerate(rates):
        gradients = {name: random(*w.shape, seed=10 * number).detach() * 3.0**number for name, w in theirs.items()}
        for name, w in theirs.items():
            w.grad = gradients[name].clone()
        peer.param_groups[0]["lr"] = rate
        peer.step()
        grads = {name: jnp.asarray(gradient.numpy()) for name, gradient in gradients.items()}
        updates, state = update.update(grads, state, ours)
        ours = optax.apply_updates(ours, updates)
        for name, w in theirs.items():
            assert largest_error(ours[name], w) < 1e-5, (number, name)
