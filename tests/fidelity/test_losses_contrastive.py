"""Contrastive losses against those of other projects."""

import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")

from peers import check_loss, random  # noqa: E402


@pytest.mark.parametrize("n, d, temperature", [(4, 8, 0.5), (64, 128, 0.1), (33, 17, 0.07)])
def test_nt_xent_is_lightlys(n, d, temperature, record_property):
    ntx_ent_loss = pytest.importorskip("lightly.loss.ntx_ent_loss")
    z1, z2 = random(n, d, seed=0), random(n, d, seed=1)
    check_loss(
        record_property,
        loss="nt_xent",
        peer="lightly NTXentLoss",
        ours=lambda a, b: losses.nt_xent(a, b, temperature=temperature),
        theirs=ntx_ent_loss.NTXentLoss(temperature=temperature)(z1, z2),
        inputs=(z1, z2),
    )
