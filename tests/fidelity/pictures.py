"""Noting how far an operation on pictures is from someone else's, for `docs/views.md`."""

from collections.abc import Callable

import numpy as np


def check_pixels(
    record_property: Callable[[str, object], None],
    *,
    operation: str,
    compared: str,
    peer: str,
    difference: np.ndarray,
    tolerance: float,
    reason: str = "",
) -> None:
    """Holds the largest difference of any pixel to a tolerance, and notes it. Once a test.

    Args:
      record_property: pytest's fixture.
      operation: the name in `ssl_jax.augment`.
      compared: what of it, and on what pictures: "bicubic", "rotate, whole values".
      peer: what it is compared with, as the table shall say: "torchvision resized_crop".
      difference: ours - theirs, of pictures in 0..255.
      tolerance: of its absolute values.
      reason: why the tolerance has to be larger than float32's rounding, taken as 0.01, for the table.
    """
    assert tolerance <= 0.01 or reason
    assert np.all(np.isfinite(difference))
    error = float(np.abs(difference).max())
    for name, found in dict(
        operation=operation, compared=compared, peer=peer, reason=reason, pixel_error=error
    ).items():
        record_property(name, found)
    print(f"{operation}, {compared} against {peer}: {error:.1e} of 255")
    assert error <= tolerance
