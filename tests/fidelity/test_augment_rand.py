"""RandAugment beside timm's 'rand-m9-mstd0.5-inc1': what is drawn, and what its operations make of the same pictures.

Warps are compared in `test_augment_auto.py`, with torchvision's, which take the nearest pixel too.
"""

import jax
import numpy as np
import pytest

from ssl_jax import augment
from ssl_jax.augment.auto_augment import OPERATIONS, WARPS
from ssl_jax.augment.rand_augment import CHOICES
from tests.fidelity.pictures import check_pixels
from tests.fidelity.test_augment_auto import PIL_TOLERANCES, THEIR_NAMES, apply, picture

timm = pytest.importorskip("timm.data.auto_augment")
pil = pytest.importorskip("PIL.Image")

COUNT = 20000
SIZE = (200, 100)
RECIPE, SETTINGS = "rand-m9-mstd0.5-inc1", dict(magnitude=9.0, deviation=0.5)


def our_name(theirs):
    return THEIR_NAMES[theirs.removesuffix("Increasing").removesuffix("Rel")]


def their_draws(monkeypatch):
    """Of many pictures: their operations [COUNT, 2] as ours are numbered, 0 where none was applied, and arguments."""
    peer = timm.rand_augment_transform(RECIPE, {})  # with its own settings, those of timm's `create_transform` too
    assert len(peer.ops) == 15 and peer.num_layers == 2
    operations, arguments = np.zeros((COUNT, 2), int), np.zeros((COUNT, 2))
    for operation in peer.ops:
        number = OPERATIONS.index(our_name(operation.name))
        note = lambda found, *argument, _number=number, **_: [*found, (_number, argument[0] if argument else 0.0)]
        monkeypatch.setattr(operation, "aug_fn", note)
    # An operation that is left out returns what it was given: a place of its own tells which of the two it was.
    for row in range(COUNT):
        for place, operation in enumerate(np.random.choice(peer.ops, peer.num_layers)):
            if found := operation([]):
                operations[row, place], arguments[row, place] = found[0]
    return operations, arguments


@pytest.fixture(scope="module")
def draws():
    """Theirs and ours: operations and magnitudes, where shifts are parts of the side."""
    import random

    state = random.getstate(), np.random.get_state()
    random.seed(0), np.random.seed(0)
    with pytest.MonkeyPatch.context() as patch:
        theirs = their_draws(patch)
    random.setstate(state[0]), np.random.set_state(state[1])
    draw = jax.jit(jax.vmap(lambda key: augment.draw_rand_augment(key, SIZE, **SETTINGS)))
    operations, magnitudes = (np.array(x) for x in draw(jax.random.split(jax.random.key(0), COUNT)))
    for name, side in (("translate_y", SIZE[0]), ("translate_x", SIZE[1])):
        magnitudes[operations == OPERATIONS.index(name)] /= side
    return theirs, (operations, magnitudes)


def test_operations_are_drawn_as_often(draws):
    """In both places, nothing included: within 5 deviations of the difference of two counts."""
    theirs, ours = (np.stack([np.bincount(place, minlength=16) for place in found[0].T]) for found in draws)
    assert (theirs > 0).all()
    np.testing.assert_array_less(np.abs(theirs - ours), 5 * np.sqrt(theirs + ours))


@pytest.mark.parametrize("name", CHOICES)
def test_magnitudes_are_drawn_alike(name, draws):
    """The largest distance of the two distribution functions: one in a million is further apart by chance."""
    theirs, ours = (np.sort(found[1][found[0] == OPERATIONS.index(name)]) for found in draws)
    places = np.concatenate([theirs, ours])
    below = [np.searchsorted(found, places + 1e-5) / len(found) for found in (theirs, ours)]  # a float32's rounding
    limit = np.sqrt(np.log(2e6) / 2 * (1 / len(theirs) + 1 / len(ours)))
    assert min(len(theirs), len(ours)) > 500 and np.abs(below[0] - below[1]).max() < limit


@pytest.mark.parametrize("kind", ["noise", "dull", "smooth"])
@pytest.mark.parametrize("name", [name for name in CHOICES if name not in WARPS])
def test_operation_of_timm(name, kind, draws, record_property):
    """With magnitudes that were drawn there, and those at the ends of the range (PIL refuses to keep no bits)."""
    theirs, _ = draws
    ends = dict(posterize=(1, 4), solarize=(0, 256), solarize_add=(0, 110)) | dict.fromkeys(
        ("color", "contrast", "brightness", "sharpness"), (0.1, 1.9)
    )
    found = theirs[1][(theirs[0] == OPERATIONS.index(name)) & (theirs[1] != 0)][:4]
    magnitudes = (*found, *ends[name]) if name in ends else (0,)
    if name in ("posterize", "solarize", "solarize_add"):
        magnitudes = [int(magnitude) for magnitude in magnitudes]
    function = next(of for their, of in timm.NAME_TO_OP.items() if their in THEIR_NAMES and our_name(their) == name)
    pixels = picture(kind)
    expected = [np.asarray(function(pil.fromarray(pixels), *([m] if name in ends else []))) for m in magnitudes]
    tolerance, reason = PIL_TOLERANCES.get(name, (0, ""))
    check_pixels(
        record_property,
        operation="rand_augment",
        compared=f"{name}, whole values",
        peer="timm",
        difference=apply(name, pixels, magnitudes) - np.stack(expected).astype(np.float32),
        tolerance=tolerance,
        reason=reason,
    )
