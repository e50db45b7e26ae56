"""Google Cloud's TPU slices: which there are, and their names."""

import math

import pytest

from ssl_jax.errors import UserError
from ssl_jax.launchers import slices
from ssl_jax.launchers.chips import Slice


@pytest.mark.parametrize(
    "topology, accelerator, hosts",
    [
        ("v5e:1x1", "v5litepod-1", 1),
        ("v5e:2x4", "v5litepod-8", 1),
        ("v5e:4x4", "v5litepod-16", 4),
        ("v5e:16x16", "v5litepod-256", 64),
        ("v6e:2x2", "v6e-4", 1),
        ("v6e:8x16", "v6e-128", 32),
        ("v5p:2x2x1", "v5p-8", 1),
        ("v5p:2x2x2", "v5p-16", 2),
        ("v5p:4x4x4", "v5p-128", 16),
        ("v5p:16x16x24", "v5p-12288", 1536),
    ],
)
def test_what_google_calls_a_slice(topology, accelerator, hosts):
    found = slices.offered(topology, "--on.topology")
    assert (slices.accelerator(found), found.hosts, found.name) == (accelerator, hosts, topology)
    assert slices.usual(found) == found


@pytest.mark.parametrize(
    "topology, near",
    [
        ("v5e:16x32", "v5e:16x16, v5e:8x16, v5e:8x8"),
        ("v5e:2x8", "v5e:4x4, v5e:2x4, v5e:4x8"),
        ("v5p:8x4x4", "v5p:4x4x8, "),
        ("v5p:2x2x3", "v5p:2x2x4, v5p:2x2x2"),
        ("v6e:0x4", "v6e:2x2, v6e:2x4, v6e:1x1"),
        ("v6e", "v6e:1x1, v6e:2x2"),
        pytest.param(f"v6e:{'9' * 400}x4", "v6e:16x16, ", id="huge"),
    ],
)
def test_a_shape_that_there_is_not(topology, near):
    with pytest.raises(UserError, match=f"^--on.topology: Google Cloud has no slice .*; near it are {near}"):
        slices.offered(topology, "--on.topology")


def test_a_chip_that_there_is_not():
    with pytest.raises(UserError, match="--on.topology: 'v5' does not exist. Did you mean 'v5[ep]'"):
        slices.offered("v5:4x4", "--on.topology")


def test_of_so_many_chips_the_one_most_like_a_cube_is_usual():
    assert slices.usual(Slice("v5p", (4, 4, 32))).name == "v5p:8x8x8"
    assert slices.usual(Slice("v5p", (4, 12, 12))).name == "v5p:4x12x12"
    shapes = [tuple(map(int, shape.split("x"))) for shape in slices.OFFERS["v5p"].shapes]
    assert len(set(shapes)) == len(shapes) and max(map(math.prod, shapes)) == 16 * 16 * 24
    assert all(len(offer.source) > 10 for offer in slices.OFFERS.values())


def test_xpk_has_the_same_slices():
    table = pytest.importorskip("xpk.core.system_characteristics", reason="xpk is not in this environment")
    systems = table.UserFacingNameToSystemCharacteristics
    missing = []
    for kind, offer in slices.OFFERS.items():
        for shape in offer.shapes:
            found, system = slices.offered(f"{kind}:{shape}", ""), systems.get(f"{offer.prefix}-{shape}")
            if system is None:
                missing.append(found.name)
                continue
            assert (system.topology, system.device_type) == (shape, slices.accelerator(found))
            assert systems[slices.accelerator(found)].topology == slices.usual(found).name.partition(":")[2]
    assert missing == ["v5e:1x1", "v5e:2x2"], "which xpk does not take"
