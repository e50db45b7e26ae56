"""DCL: Yeh et al. 2021, Decoupled Contrastive Learning, arXiv:2110.06848."""

from typing import Any

import jax
from flax import nnx

from ssl_jax import losses
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.models import settings


class DCL(SimCLR):
    """SimCLR without the positive pair in the denominator of its loss (equation 6).

    A public code (raminnakhli/Decoupled-Contrastive-Learning) adds the means of the two views' losses, and so is
    twice this one; it weights by the same w for both.
    """

    collapse_causes = "the learning rate is too high for the temperature, or the views differ in too little"

    def __init__(
        self,
        backbone: nnx.Module,
        view: Any,
        *,
        temperature: float = 0.1,
        sigma: float | None = None,
        projector_hidden: int | None = None,
        projector_out: int = 128,
        projector_layers: int = 2,
        rngs: nnx.Rngs,
    ):
        """
        Args:
          backbone: images [B, H, W, C] -> features [B, F]; has `features` = F.
          view: draws one view of one image (`augment.VIEWS`).
          temperature: tau of equation 6.
          sigma: None for DCL. A number for DCLW, in which pairs count more the less alike they are; the smaller sigma,
            the more these weights differ. 0.5 in the paper.
          projector_hidden, projector_out, projector_layers: as for `SimCLR`, but the projector starts as PyTorch's
            layers do, as in that code.
          rngs: source of the parameters.

        Raises:
          ValueError: a temperature or sigma that is not positive, or a projector without layers.
        """
        if sigma is not None:
            settings.positive(sigma=sigma)
        sizes = dict(projector_hidden=projector_hidden, projector_out=projector_out, projector_layers=projector_layers)
        super().__init__(backbone, view, temperature=temperature, projector_deviation=None, **sizes, rngs=rngs)
        self.sigma = sigma

    def compare(self, z1: jax.Array, z2: jax.Array) -> jax.Array:
        """The loss of two views' projections [B, P]: equation 6 or its weighted form, a float32 scalar."""
        if self.sigma is None:
            return losses.dcl(z1, z2, temperature=self.temperature)
        return losses.dclw(z1, z2, temperature=self.temperature, sigma=self.sigma)
