"""What a state makes of one batch, as it is asked when a run is scored."""

import jax
from flax import nnx

from ssl_jax import evaluate
from ssl_jax.experiment import drawn_views
from ssl_jax.experiment.build import Experiment
from ssl_jax.train import mesh as meshes
from ssl_jax.train import state as states

Arrays = dict[str, jax.Array]
COMPARED = {"projections": "project", "prototypes": "assign"}  # what is diagnosed beside features: name -> who gives it


class Passes:
    """Functions of (params, variables, batch), compiled; what they return lies on all devices of the mesh.

    Of held-out batches `number` is said too, from which alone views and masks are drawn.
    """

    def __init__(self, experiment: Experiment):
        self.experiment = experiment
        everywhere = meshes.replicated(experiment.recipe.mesh)
        names = ("embed", "held_out", "asked", "compared", "of_views", "of_layers", "likely", "matched", "described")
        for name in names:
            setattr(self, name, jax.jit(getattr(self, name), out_shardings=everywhere))

    def embed(self, params: nnx.State, variables: nnx.State, batch: Arrays) -> Arrays:
        """Features and labels."""
        return {"features": self._method(params, variables).embed(batch), "label": batch["label"]}

    def held_out(self, params: nnx.State, variables: nnx.State, batch: Arrays, number: int) -> Arrays:
        """The loss and metrics of the method."""
        method, views, key = self._views(params, variables, batch, number)
        with meshes.within(self.experiment.recipe.mesh):
            loss, metrics = method.loss(views, key, train=False)
        return {"loss": loss, **metrics}

    def asked(self, params: nnx.State, variables: nnx.State, batch: Arrays, number: int) -> Arrays:
        """Which words are asked for."""
        method, views, _ = self._views(params, variables, batch, number)
        return method.asked(views) if hasattr(method, "asked") else views

    def compared(self, params: nnx.State, variables: nnx.State, batch: Arrays) -> Arrays:
        """`COMPARED`, where the method gives it."""
        method = self._method(params, variables)
        return {name: getattr(method, give)(batch) for name, give in COMPARED.items() if hasattr(method, give)}

    def of_views(self, params: nnx.State, variables: nnx.State, batch: Arrays) -> Arrays:
        """Features of several views of each example."""
        method = self._method(params, variables)
        features = drawn_views.features_of_views(method, batch, states.run_keys(0)[2])
        return {"features": features, "label": batch["label"]}

    def of_layers(self, params: nnx.State, variables: nnx.State, batch: Arrays) -> Arrays:
        """Features of each layer."""
        return {"features": self._method(params, variables).embed_layers(batch), "label": batch["label"]}

    def likely(self, params: nnx.State, variables: nnx.State, batch: Arrays) -> Arrays:
        """The log-likelihood of each text, and how many tokens it is of."""
        method, spec = self._method(params, variables), self.experiment.data.spec
        views = method.views(batch, jax.random.key(0)) | {"tokens": batch["tokens"]}
        if hasattr(method, "logits_at"):
            special = dict(mask_id=spec.mask_id, special_ids=spec.special_ids)
            total, count = evaluate.masked_log_likelihoods(method.logits_at, views, **special)
        else:
            total, count = evaluate.next_log_likelihoods(method.next_logits(views), views)
        return {"log_likelihood": total, "count": count}

    def matched(self, params: nnx.State, variables: nnx.State, batch: Arrays) -> Arrays:
        """Examples and all of their texts in the common space."""
        method = self._method(params, variables)
        tokens = batch["tokens"].reshape(len(batch["tokens"]), -1, batch["tokens"].shape[-1])  # sound has one text
        texts = method.project_texts(tokens.reshape(-1, tokens.shape[-1])).reshape(*tokens.shape[:2], -1)
        return {"examples": method.project(batch), "texts": texts, "tokens": tokens}

    def described(self, params: nnx.State, variables: nnx.State, batch: Arrays) -> jax.Array:
        """Texts in the common space."""
        return self._method(params, variables).project_texts(batch["tokens"])

    def _method(self, params, variables):
        return nnx.merge(self.experiment.recipe.graphdef, params, variables, copy=True)

    def _views(self, params, variables, batch, number):
        """The method, and the views and key of held-out batch `number`."""
        method = self._method(params, variables)
        views_key, loss_key = jax.random.split(jax.random.fold_in(states.run_keys(0)[2], number))
        return method, method.views(batch, views_key), loss_key
