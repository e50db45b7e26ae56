"""What the pretext tasks do to images, against torch and restated official code."""

import jax
import numpy as np
import pytest

from ssl_jax import augment
from tests.fidelity.pictures import check_pixels

torch = pytest.importorskip("torch")


def pixels(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)


def check_equal(record_property, name, compared, peer, ours, theirs):
    names = dict(operation=name, compared=compared, peer=peer)
    check_pixels(record_property, **names, difference=np.asarray(ours, np.float32) - theirs, tolerance=0)


@pytest.mark.parametrize("size, channels", [(4, 3), (7, 1), (32, 3)])
def test_quarter_turns_are_torchs_rot90(size, channels, record_property):
    image = pixels(size, size, channels)
    ours, labels = jax.jit(augment.quarter_turns)(image)
    theirs = np.stack([torch.rot90(torch.tensor(image), int(label), dims=(0, 1)) for label in labels])
    check_equal(record_property, "quarter_turns", "whole values", "torch rot90", ours, theirs)


def test_quarter_turns_are_those_of_gidariss_featurelearningrotnet(record_property):
    """dataloader.py, rotate_img: flips and transpositions of a NumPy image."""
    image = pixels(6, 6, 3)
    swapped = np.swapaxes(image, 0, 1)
    theirs = [image, swapped[::-1], image[::-1, ::-1], np.swapaxes(image[::-1], 0, 1)]
    peer = "formula of gidariss/FeatureLearningRotNet"
    ours = augment.quarter_turns(image)[0]
    check_equal(record_property, "quarter_turns", "whole values", peer, ours, np.stack(theirs))


def test_tiles_are_those_of_torchs_unfold(record_property):
    image, order = pixels(21, 21, 3), np.random.default_rng(1).permutation(9)
    cells = torch.tensor(image).unfold(0, 7, 7).unfold(1, 7, 7)  # [3, 3, C, 7, 7]
    theirs = cells.permute(0, 1, 3, 4, 2).reshape(9, 7, 7, 3)[torch.tensor(order)]
    puzzle = augment.Jigsaw(np.int32(0), np.zeros((9, 2), np.int32))
    ours = augment.jigsaw_tiles(image, puzzle, order[None], tile_size=7)
    check_equal(record_property, "jigsaw_tiles", "whole values", "torch unfold", ours, theirs.numpy())


def test_permutations_are_those_of_bbrattolis_selection():
    """select_permutations.py ('max'): the candidate of the largest mean distance, deleted from the list when taken."""
    count, tiles = 40, 5
    ours = augment.hamming_permutations(count, tiles=tiles)
    left = torch.cartesian_prod(*[torch.arange(tiles)] * tiles)
    left = left[(left.sort(dim=1).values == torch.arange(tiles)).all(dim=1)]
    chosen, pick = [], int((left == torch.tensor(ours[0])).all(dim=1).nonzero())
    for _ in range(count):
        chosen.append(left[pick])
        left = torch.cat([left[:pick], left[pick + 1 :]])
        apart = (torch.stack(chosen)[:, None] != left[None]).sum(dim=(0, 2))
        pick = int(np.argmax(apart.numpy()))
    np.testing.assert_array_equal(ours, torch.stack(chosen))


@pytest.mark.parametrize("dx, dy", [(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1) if (x, y) != (0, 0)])
def test_positions_are_numbered_as_in_deepcontext(dx, dy):
    """cdoersch/deepcontext, pos2lbl: the row above is x + 1, the same row (x + 7) / 2, the row below x + 6."""
    label = {-1: dx + 1, 0: (dx + 7) // 2, 1: dx + 6}[dy]
    keys = jax.random.split(jax.random.key(0), 200)
    pairs = jax.jit(jax.vmap(lambda key: augment.draw_patch_pair(key, (60, 60), patch_size=10, jitter=0)))(keys)
    away = np.asarray(pairs.starts[:, 1] - pairs.starts[:, 0])[np.asarray(pairs.position) == label]
    assert len(away)
    np.testing.assert_array_equal(away, np.broadcast_to([15 * dy, 15 * dx], away.shape))
