"""Optimizers and learning-rate schedules by config name, all made of optax's parts."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from ssl_jax.models import settings, targets
from ssl_jax.models.decay import decay_mask


def lars(
    rate: optax.Schedule,
    *,
    weight_decay: float = 1e-6,
    momentum: float = 0.9,
    trust_coefficient: float = 0.001,
    rate_in_momentum: bool = True,
) -> optax.GradientTransformation:
    """LARS (You et al. 2017, arXiv:1708.03888) as SimCLR uses it (Chen et al. 2020, section 2.3).

    Biases and normalisation scales are neither decayed nor adapted; elsewhere the trust ratio is of |w| to
    |g + weight_decay w| (timm and lightly divide by |g| + weight_decay |w|). Layers that a model stacks for `lax.scan`
    share one trust ratio; build the model with scan=False where that matters.

    Args:
      rate: learning rate by step.
      weight_decay: added to the gradient, times the weight.
      momentum: of the adapted gradients.
      trust_coefficient: multiplies the trust ratio.
      rate_in_momentum: the momentum is of updates that the rate of their step has multiplied, as in the paper and in
        SimCLR's code; otherwise today's rate multiplies the momentum, as in the codes of BYOL, MoCo v3, VICReg and
        Barlow Twins. The same where the rate stays.

    Raises:
      ValueError: a negative decay, a momentum outside 0 <= momentum < 1, or a `trust_coefficient` that is not positive.
    """
    settings.at_least(0, weight_decay=weight_decay)
    settings.probability(momentum=momentum)
    settings.positive(trust_coefficient=trust_coefficient)
    decay = optax.add_decayed_weights(weight_decay, mask=decay_mask)
    adapt = optax.masked(optax.scale_by_trust_ratio(trust_coefficient=trust_coefficient), decay_mask)
    rated, kept = optax.scale_by_learning_rate(rate), optax.trace(momentum)
    return optax.chain(decay, adapt, *((rated, kept) if rate_in_momentum else (kept, rated)))


def larc(
    rate: optax.Schedule,
    *,
    weight_decay: float = 1e-6,
    momentum: float = 0.9,
    trust_coefficient: float = 0.001,
    clip: bool = False,
    all_parameters: bool = True,
) -> optax.GradientTransformation:
    """LARS as `LARC(SGD)` of NVIDIA's apex has it, and solo-learn (`LARSWrapper` to 1.0.2, later `LARS`).

    The defaults are `LARC(SGD, clip=False)`, which SwAV's authors train with (`main_swav.py`). Unlike in `lars`, the
    trust ratio is of |w| to |g| + weight_decay |w|; where either is 0 the gradient is used as it is and nothing decays;
    the rate multiplies the momentum and is no part of it, as in PyTorch's SGD. Layers that a model stacks for
    `lax.scan` share one trust ratio.

    Args:
      rate: learning rate by step.
      weight_decay: added to the gradient, times the weight, before the trust ratio multiplies both.
      momentum: of the adapted gradients.
      trust_coefficient: multiplies the trust ratio.
      clip: the ratio is divided by the rate and is at most 1: it is then a rate of its own, and a parameter has the
        smaller of the two (`clip` of apex, `clip_lr` of solo-learn).
      all_parameters: biases and normalisation scales are adapted and decayed too, as in apex; otherwise their gradients
        are used as they are (`exclude_bias_n_norm` of solo-learn).

    Raises:
      ValueError: a negative decay, a momentum outside 0 <= momentum < 1, or a `trust_coefficient` that is not positive.
    """
    settings.at_least(0, weight_decay=weight_decay)
    settings.probability(momentum=momentum)
    settings.positive(trust_coefficient=trust_coefficient)

    def adapted(g: jax.Array, w: jax.Array, now: float | jax.Array) -> jax.Array:
        g_norm, w_norm = jnp.linalg.norm(g.reshape(-1)), jnp.linalg.norm(w.reshape(-1))
        ratio = trust_coefficient * w_norm / (g_norm + weight_decay * w_norm + 1e-8)
        if clip:
            ratio = jnp.minimum(ratio / now, 1.0)
        return jnp.where((w_norm > 0) & (g_norm > 0), ratio * (g + weight_decay * w), g)

    def update(updates, state, params):
        now = rate(state.count)
        updates = jax.tree.map(lambda g, w: adapted(g, w, now), updates, params)
        return updates, optax.ScaleByScheduleState(optax.safe_increment(state.count))

    adapt = optax.GradientTransformation(lambda _: optax.ScaleByScheduleState(jnp.zeros((), jnp.int32)), update)
    if not all_parameters:
        adapt = optax.masked(adapt, decay_mask)
    return optax.chain(adapt, optax.sgd(rate, momentum))


def adamw(
    rate: optax.Schedule,
    *,
    weight_decay: float = 0.01,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    weight_decay_end: float | None = None,
    weight_decay_stretch: float = 1.0,
    all_parameters: bool = False,
    steps: int | None = None,
) -> optax.GradientTransformation:
    """AdamW (Loshchilov and Hutter 2019).

    Args:
      rate: learning rate by step.
      weight_decay: decoupled decay, multiplied by the learning rate.
      b1: decay of the first moment.
      b2: decay of the second moment.
      eps: added to the root of the second moment.
      weight_decay_end: the decay rises (or falls) to this along half a cosine until the last step, as in DINO (Caron et
        al. 2021, section 3.2); None: it stays.
      weight_decay_stretch: that half cosine is this many times as long as the run, which then stops on its way, as in
        MSN and I-JEPA.
      all_parameters: biases and normalisation scales decay too, as where PyTorch's parameters are in one group.
      steps: of the whole run; needed for `weight_decay_end`.

    Raises:
      ValueError: a setting is out of its range, or `weight_decay_stretch` comes without `weight_decay_end`.
    """
    end = weight_decay if weight_decay_end is None else weight_decay_end
    settings.at_least(0, weight_decay=weight_decay, weight_decay_end=end)
    settings.probability(b1=b1, b2=b2)
    settings.positive(eps=eps)
    settings.at_least(1, weight_decay_stretch=weight_decay_stretch)
    if weight_decay_stretch != 1 and weight_decay_end is None:
        raise ValueError(f"weight_decay_stretch {weight_decay_stretch} has an effect with weight_decay_end only")
    if end == weight_decay:
        decay = weight_decay
    else:
        length = int(weight_decay_stretch * steps)
        decay = lambda step: targets.cosine_ramp(step, length, weight_decay, end)
    return optax.adamw(rate, b1=b1, b2=b2, eps=eps, weight_decay=decay, mask=None if all_parameters else decay_mask)


def lamb(
    rate: optax.Schedule,
    *,
    weight_decay: float = 0.01,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-6,
) -> optax.GradientTransformation:
    """LAMB (You et al. 2020, arXiv:1904.00962): Adam's step, of the length of the weights it is for.

    Biases and normalisation scales are neither decayed nor adapted, as in the codes of LAMB's authors and of ALBERT.
    These have no bias correction, which cancels where steps are adapted; here there is one. Layers that a model stacks
    for `lax.scan` share one length.

    Args:
      rate: learning rate by step.
      weight_decay: added to Adam's step, times the weight, before the adaptation.
      b1: decay of the first moment.
      b2: decay of the second moment.
      eps: added to the root of the second moment.

    Raises:
      ValueError: a negative decay of weights, a decay of moments outside 0 <= decay < 1, or an `eps` that is not
        positive.
    """
    settings.at_least(0, weight_decay=weight_decay)
    settings.probability(b1=b1, b2=b2)
    settings.positive(eps=eps)
    decay = optax.add_decayed_weights(weight_decay, mask=decay_mask)
    adapt = optax.masked(optax.scale_by_trust_ratio(), decay_mask)
    return optax.chain(optax.scale_by_adam(b1, b2, eps), decay, adapt, optax.scale_by_learning_rate(rate))


def sgd(
    rate: optax.Schedule,
    *,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    nesterov: bool = False,
    all_parameters: bool = False,
) -> optax.GradientTransformation:
    """SGD with momentum; the decay is added to the gradient.

    With `all_parameters` biases and normalisation scales decay too, as where PyTorch's parameters are in one group.

    Raises:
      ValueError: a negative decay, or a momentum outside 0 <= momentum < 1.
    """
    settings.at_least(0, weight_decay=weight_decay)
    settings.probability(momentum=momentum)
    decay = optax.add_decayed_weights(weight_decay, mask=None if all_parameters else decay_mask)
    return optax.chain(decay, optax.sgd(rate, momentum, nesterov=nesterov))


def adafactor(
    rate: optax.Schedule,
    *,
    decay_power: float = 0.8,
    clip_threshold: float = 1.0,
    smallest_factored: int = 128,
) -> optax.GradientTransformation:
    """Adafactor (Shazeer and Stern 2018) as T5 is trained: of a matrix only the second moments' rows and columns.

    Without momentum and weight decay. A parameter moves by the rate times its root mean square, 0.001 at least
    (section 8), so rates are larger than elsewhere. Layers that are stacked for `lax.scan` are clipped and scaled as
    one parameter; unstacked, each by itself.

    Args:
      rate: learning rate by step.
      decay_power: at step t, 1 - t to the power of -this is kept of the second moments (section 7.2).
      clip_threshold: the largest root mean square that an update may have (section 6).
      smallest_factored: arrays whose two longest axes are shorter have all second moments.

    Raises:
      ValueError: a setting is out of its range.
    """
    settings.positive(decay_power=decay_power, clip_threshold=clip_threshold)
    settings.at_least(1, smallest_factored=smallest_factored)
    return optax.adafactor(
        rate, min_dim_size_to_factor=smallest_factored, decay_rate=decay_power, clipping_threshold=clip_threshold
    )


def warmup_cosine(
    peak: float,
    steps: int,
    *,
    warmup_steps: int = 0,
    start_factor: float = 0.0,
    end_factor: float = 0.0,
    stretch: float = 1.0,
) -> optax.Schedule:
    """Linear from `start_factor * peak` to `peak` over `warmup_steps`, then a half cosine down to `end_factor * peak`.

    The cosine ends at `stretch * steps`: above 1 the run stops on its way, as in MSN and I-JEPA; below 1 the rate stays
    where it has come down to, as in DALL-E's discrete VAE.

    Raises:
      ValueError: a warm-up that is not shorter than the run, a negative number, or a `stretch` that is not positive or
        ends the cosine within the warm-up.
    """
    _check_warmup(warmup_steps, steps)
    settings.at_least(0, start_factor=start_factor, end_factor=end_factor)
    settings.positive(stretch=stretch)
    end = int(stretch * steps)
    if end <= warmup_steps:
        raise ValueError(f"stretch {stretch} ends the cosine after {end} steps, and the warm-up takes {warmup_steps}")
    rise = optax.linear_schedule(start_factor * peak, peak, max(warmup_steps, 1))
    decay = optax.cosine_decay_schedule(peak, end - warmup_steps, alpha=end_factor)
    return optax.join_schedules([rise, decay], [warmup_steps])


def warmup_linear(peak: float, steps: int, *, warmup_steps: int = 0, end_factor: float = 0.0) -> optax.Schedule:
    """Linear from 0 to `peak` over `warmup_steps`, then linear down to `end_factor * peak` at `steps`.

    Raises:
      ValueError: a warm-up that is not shorter than the run, or a negative number.
    """
    _check_warmup(warmup_steps, steps)
    settings.at_least(0, end_factor=end_factor)
    decay = optax.linear_schedule(peak, end_factor * peak, steps - warmup_steps)
    return optax.join_schedules([optax.linear_schedule(0.0, peak, max(warmup_steps, 1)), decay], [warmup_steps])


def warmup_multistep(
    peak: float,
    steps: int,
    *,
    warmup_steps: int = 0,
    start_factor: float = 0.0,
    at: tuple[float, ...],
    factor: float = 0.1,
) -> optax.Schedule:
    """Linear from `start_factor * peak` to `peak` over `warmup_steps`, then `peak`, times `factor` at each of `at`.

    Args:
      peak: the highest rate.
      steps: of the whole run.
      warmup_steps: steps of the rise.
      start_factor: where it starts.
      at: shares of the run after which the rate is multiplied; (0.875,) of 800 epochs is after 700.
      factor: what it is multiplied by.

    Raises:
      ValueError: a setting is out of its range, or the rate would be multiplied while it still rises.
    """
    _check_warmup(warmup_steps, steps)
    settings.at_least(0, start_factor=start_factor)
    settings.positive(factor=factor)
    places = [int(share * steps) for share in at]
    if not all(warmup_steps < place < steps for place in places):
        raise ValueError(
            f"at {at} are not shares of the run between its warm-up ({warmup_steps} of {steps} steps) and 1"
        )
    rise = optax.linear_schedule(start_factor * peak, peak, max(warmup_steps, 1))
    lowered = optax.piecewise_constant_schedule(peak, {place - warmup_steps: factor for place in places})
    return optax.join_schedules([rise, lowered], [warmup_steps])


def warmup_hold_decay(
    peak: float,
    steps: int,
    *,
    warmup_steps: int,
    decay_steps: int,
    start_factor: float = 0.01,
    end_factor: float = 0.01,
) -> optax.Schedule:
    """Linear from `start_factor * peak` to `peak`, then `peak`, then exponentially down to `end_factor * peak`.

    fairseq's 'tri_stage': the first `warmup_steps` rise and the last `decay_steps` fall.

    Raises:
      ValueError: a warm-up that is not shorter than the run, a negative number, an `end_factor` outside
        0 < factor <= 1, or `decay_steps` that are not between 1 and what the warm-up leaves.
    """
    _check_warmup(warmup_steps, steps)
    settings.at_least(0, start_factor=start_factor)
    settings.share(end_factor=end_factor)
    if not 1 <= decay_steps <= steps - warmup_steps:
        raise ValueError(f"decay_steps {decay_steps} is not between 1 and the {steps - warmup_steps} after the warm-up")
    rise = optax.linear_schedule(start_factor * peak, peak, max(warmup_steps, 1))
    fall = optax.exponential_decay(peak, decay_steps, end_factor, end_value=end_factor * peak)
    hold = steps - decay_steps
    return optax.join_schedules([rise, optax.constant_schedule(peak), fall], [warmup_steps, hold])


def constant(peak: float, steps: int, *, warmup_steps: int = 0) -> optax.Schedule:
    """Linear from 0 to `peak` over `warmup_steps` (steps), then `peak`.

    Raises:
      ValueError: a warm-up that is negative or not shorter than the run.
    """
    _check_warmup(warmup_steps, steps)
    rise = optax.linear_schedule(0.0, peak, max(warmup_steps, 1))
    return optax.join_schedules([rise, optax.constant_schedule(peak)], [warmup_steps])


def inverse_sqrt(peak: float, steps: int, *, hold_steps: int) -> optax.Schedule:
    """`peak` for `hold_steps`, then `peak * sqrt(hold_steps / step)`: T5's (Raffel et al. 2020, section 3.1.2).

    Raises:
      ValueError: `hold_steps` below 1, or not less than `steps`.
    """
    if not 1 <= hold_steps < steps:
        raise ValueError(f"hold_steps {hold_steps} must be at least 1 and less than the {steps} steps of the run")
    return lambda step: peak * jnp.sqrt(hold_steps / jnp.maximum(step, hold_steps))


def _check_warmup(warmup_steps: int, steps: int) -> None:
    if not 0 <= warmup_steps < steps:
        raise ValueError(f"warmup_steps {warmup_steps} must be at least 0 and less than the {steps} steps of the run")


def peak_rate(batch_size: int, *, learning_rate: float, reference_batch_size: int | None = None) -> float:
    """The peak learning rate: `learning_rate * batch_size / reference_batch_size`, the linear scaling rule.

    Args:
      batch_size: global batch size.
      learning_rate: rate at the reference batch size, or the rate itself where that is None.
      reference_batch_size: usually 256 (Goyal et al. 2017, arXiv:1706.02677).

    Raises:
      ValueError: a rate that is not positive, or a reference batch size below 1.
    """
    settings.positive(learning_rate=learning_rate)
    if reference_batch_size is None:
        return learning_rate
    if reference_batch_size < 1:
        raise ValueError(f"reference_batch_size {reference_batch_size} must be at least 1, or None")
    return learning_rate * batch_size / reference_batch_size


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adafactor": adafactor,
    "lars": lars,
    "larc": larc,
    "adamw": adamw,
    "lamb": lamb,
    "sgd": sgd,
}
SCHEDULES: dict[str, Callable[..., optax.Schedule]] = {
    "warmup_cosine": warmup_cosine,
    "warmup_linear": warmup_linear,
    "warmup_hold_decay": warmup_hold_decay,
    "warmup_multistep": warmup_multistep,
    "constant": constant,
    "inverse_sqrt": inverse_sqrt,
}
