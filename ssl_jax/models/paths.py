"""How leaves of a state are called."""

import jax


def path_name(path: tuple) -> str:
    """'backbone.stem.kernel' for the path of a leaf of an nnx.State."""
    return jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value")
