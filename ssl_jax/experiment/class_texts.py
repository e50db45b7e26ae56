"""What is said of the classes of a data set, for telling them without training."""

from typing import Any

import numpy as np

from ssl_jax.errors import UserError


def written(opened: Any, templates: tuple[str, ...], names: tuple[str, ...] | None = None) -> np.ndarray:
    """The names of the classes in each template, as tokens.

    Args:
      opened: the data, with texts and labels.
      templates: texts with {} in place of a name.
      names: of the classes, in the order of their numbers; None: the data set's.

    Returns:
      int32 [classes, templates, text_length].
    """
    texts = [template.replace("{}", name) for name in names or opened.spec.class_names for template in templates]
    return opened.spelling(texts).reshape(opened.spec.num_classes, len(templates), -1)


def check(opened: Any, templates: tuple[str, ...], names: tuple[str, ...] | None = None) -> None:
    """Classes have texts that differ; of made-up data, whose words are others, that is not looked at.

    Raises:
      UserError: there are no labels, other than a name for each, or what is said of two classes is cut to the same
        tokens.
    """
    if not opened.spec.num_classes:
        raise UserError(f"config.evaluate: 'zero_shot' tells classes, and {opened.name!r} has none; leave it out.")
    if names is not None and len(names) != opened.spec.num_classes:
        classes = f"{opened.name!r} has {opened.spec.num_classes} classes"
        raise UserError(f"config.evaluate.class_names: {classes}, and these are {len(names)}.")
    for number, template in enumerate(templates if not opened.mock else ()):
        seen = {}
        texts = written(opened, templates, names)[:, number]
        for name, tokens in zip(names or opened.spec.class_names, texts, strict=True):
            other = seen.setdefault(tokens.tobytes(), name)
            if other != name:
                raise UserError(
                    f"config.evaluate.templates: {template!r} says the same of {other!r} and {name!r} in "
                    f"{opened.text_length} tokens; raise config.data.text_length, or shorten it."
                )
