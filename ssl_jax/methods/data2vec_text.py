"""data2vec (text): Baevski et al. 2022, data2vec: A General Framework for Self-supervised Learning in Speech, Vision
and Language, arXiv:2202.03555."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import augment, losses
from ssl_jax.models import reading, settings, targets
from ssl_jax.models.pooling import target_metrics


class Data2VecText(nnx.Module):
    """Predicts, at hidden tokens, what a slowly following copy of the blocks makes of the whole text (section 3).

    Teacher and student share what comes before the blocks (section 3.2). What is predicted is the mean of the teacher's
    last blocks, of each the output of its MLP before it is added to what goes on, as in the authors' code.
    """

    reads = ("text",)
    collapse_causes = "momentum is too low at the start, the learning rate too high, or too few tokens are hidden"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        top: int = 10,
        momentum: float = 0.999,
        momentum_end: float = 0.9999,
        momentum_steps: int = 300_000,
        beta: float = 4.0,
        separate_documents: bool = True,
        rngs: nnx.Rngs,
    ):
        """
        The defaults are those of the base model of text.

        Args:
          backbone: a text transformer.
          view: hides tokens of one sequence behind [MASK] (`masking.VIEWS['token_spans']`, or 'bert', of which then
            only such tokens count).
          top: K, how many of the teacher's last blocks are averaged.
          momentum: tau_0, the teacher's momentum at the first step.
          momentum_end: tau_e, what it rises to along a line.
          momentum_steps: tau_n, in how many steps.
          beta: where the loss turns from a square into a line; 0: the squared error.
          separate_documents: documents packed into one row do not attend to each other, and positions restart with
            each.
          rngs: source of the parameters.

        Raises:
          ValueError: a setting is out of range, the view hides nothing behind [MASK], or there are two segments.
        """
        settings.at_least(0, beta=beta, momentum_steps=momentum_steps)
        settings.momenta(momentum, momentum_end)
        settings.network("data2vec_text", backbone, "embed_tokens", "text_transformer")
        reading.check_reads_both_ways("data2vec_text", backbone)
        settings.last_blocks(top, backbone.depth)
        if not hasattr(view, "mask_id"):
            raise ValueError("data2vec_text hides tokens: set config.views.name to 'token_spans'")
        reading.check_one_text("data2vec_text", view)
        self.backbone, self.view, self.separate_documents = backbone, view, separate_documents
        self.top, self.beta, self.momentum = top, beta, (momentum, momentum_end, momentum_steps)
        width, start = backbone.features, nnx.initializers.truncated_normal(backbone.initializer_range)
        make = dict(kernel_init=start, dtype=settings.computation_dtype(backbone.dtype), rngs=rngs)
        self.hidden, self.prediction = nnx.Linear(width, 2 * width, **make), nnx.Linear(2 * width, width, **make)
        self.teacher = targets.never_dropping(targets.target_copy(backbone.stack))

    def views(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Rows with some tokens hidden, and the `original` ones."""
        hidden = augment.per_example(self.view.train, key, batch["tokens"])["tokens"]
        return reading.laid_out(batch, self.view.pad_id) | {"tokens": hidden, "original": batch["tokens"]}

    def loss(
        self, views: dict[str, jax.Array], key: jax.Array, *, train: bool = True
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Smooth L1 distance at the hidden tokens (section 3.4): the mean over features, of which the official code
        for text takes the sum."""
        states = reading.read(self.backbone, views, apart=self.separate_documents, train=train, key=key)
        predictions = self.prediction(jax.nn.gelu(self.hidden(states), approximate=False))
        truths, mask = jax.lax.stop_gradient(self.targets(views)), views["tokens"] == self.view.mask_id
        loss = losses.data2vec(predictions, truths, mask, beta=self.beta)
        return loss, target_metrics(predictions, truths, mask)

    def targets(self, views: dict[str, jax.Array]) -> jax.Array:
        """What is to be predicted: the mean of the teacher's last blocks, each normalised, float32 [B, S, F]."""
        mask, positions = reading.seen(views["parts"], apart=self.separate_documents)
        x, mask, _ = self.backbone.embed_tokens(views["original"], views["segments"], mask, positions)
        branches = self.teacher.states(x, mask, of="branches")
        return losses.average_layers(list(branches), top=self.top, normalize="layer")

    def follow(self, step: jax.Array) -> None:
        """The teacher follows after step `step` (counted from 0): equation 1."""
        start, end, steps = self.momentum
        targets.follow(self.teacher, self.backbone.stack, targets.linear_ramp(step, steps, start, end))

    def embed(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """Mean of the student's last states over the tokens that are no padding, none hidden: [B, F]."""
        return reading.embed(self.backbone, inputs, self.view.pad_id)

    def embed_layers(self, inputs: dict[str, jax.Array]) -> jax.Array:
        """The same of what each block gives: [B, depth, F]."""
        return reading.embed_layers(self.backbone, inputs, self.view.pad_id)
