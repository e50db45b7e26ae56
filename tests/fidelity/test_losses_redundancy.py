"""Losses of redundancy and of evenness against those of other projects."""

import jax
import numpy as np
import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")
F = torch.nn.functional

from peers import check_loss, random, solo  # noqa: E402

shapes = pytest.mark.parametrize("n, d", [(16, 8), (64, 128), (33, 17)])


def pair(n, d):
    """Two views that differ in mean and scale, so that both matter."""
    return tuple((s * random(n, d, seed=i) + 0.3 * i).detach().requires_grad_() for i, s in ((0, 0.6), (1, 1.3)))


def unit(seed, d, count):
    """Directions of length 1 for both sides."""
    directions = torch.randn(d, count, generator=torch.Generator().manual_seed(seed))
    return directions / directions.norm(dim=0)


@shapes
@pytest.mark.parametrize("lambda_", [0.0051, 0.5])
def test_barlow_twins_is_lightlys(n, d, lambda_, record_property):
    barlow_twins_loss = pytest.importorskip("lightly.loss.barlow_twins_loss")
    z = pair(n, d)
    check_loss(
        record_property,
        loss="barlow_twins",
        peer="lightly BarlowTwinsLoss",
        ours=lambda a, b: losses.barlow_twins(a, b, lambda_=lambda_),
        theirs=barlow_twins_loss.BarlowTwinsLoss(lambda_param=lambda_)(*z),
        inputs=z,
    )


@shapes
def test_barlow_twins_is_solo_learns(n, d, record_property):
    barlow_loss_func = solo("losses.barlow").barlow_loss_func

    z = pair(n, d)
    check_loss(
        record_property,
        loss="barlow_twins",
        peer="solo-learn barlow_loss_func",
        ours=lambda a, b: 0.025 * losses.barlow_twins(a, b, lambda_=5e-3),
        theirs=barlow_loss_func(*z),
        inputs=z,
    )


@shapes
@pytest.mark.parametrize("lambda_", [0.0051, 0.5])
def test_barlow_twins_is_the_authors(n, d, lambda_, record_property):
    z = pair(n, d)
    first, second = (F.batch_norm(x, None, None, training=True) for x in z)
    errors = (first.T @ second / n - torch.eye(d)).square()
    diagonal = errors.diagonal().sum()
    check_loss(
        record_property,
        loss="barlow_twins",
        peer="formula of facebookresearch/barlowtwins",
        ours=lambda a, b: losses.barlow_twins(a, b, lambda_=lambda_),
        theirs=diagonal + lambda_ * (errors.sum() - diagonal),
        inputs=z,
    )


@shapes
@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (10.0, 20.0, 3.0)])
def test_vicreg_is_the_authors(n, d, weights, record_property):
    z = pair(n, d)
    spread = sum(F.relu(1 - (x.var(dim=0) + 1e-4).sqrt()).mean() for x in z) / 2
    moments = [torch.cov(x.T) for x in z]
    redundancy = sum((c - c.diagonal().diag()).square().sum() / d for c in moments)
    check_loss(
        record_property,
        loss="vicreg",
        peer="formula of facebookresearch/vicreg",
        ours=lambda a, b: losses.vicreg(a, b, invariance=weights[0], variance=weights[1], covariance=weights[2]),
        theirs=weights[0] * F.mse_loss(*z) + weights[1] * spread + weights[2] * redundancy,
        inputs=z,
    )


@shapes
def test_vicreg_is_lightlys(n, d, record_property):
    vicreg_loss = pytest.importorskip("lightly.loss.vicreg_loss")
    z = pair(n, d)
    check_loss(
        record_property,
        loss="vicreg",
        peer="lightly VICRegLoss",
        ours=lambda a, b: losses.vicreg(a, b, invariance=10, variance=20, covariance=3, eps=1e-3),
        theirs=vicreg_loss.VICRegLoss(10, 20, 3, eps=1e-3)(*z),
        inputs=z,
    )


@shapes
def test_vicreg_is_solo_learns(n, d, record_property):
    vicreg_loss_func = solo("losses.vicreg").vicreg_loss_func

    z = pair(n, d)
    check_loss(
        record_property,
        loss="vicreg",
        peer="solo-learn vicreg_loss_func",
        ours=lambda a, b: losses.vicreg(a, b, variance=50),
        theirs=vicreg_loss_func(*z),
        inputs=z,
    )


def views_and_places(n, large, small, d, c, side, small_side):
    """Embeddings, maps (large and small), and their places in random crops."""
    maps = [random(n, large, side**2, c, seed=1), random(n, small, small_side**2, c, seed=2)]
    generator = torch.Generator().manual_seed(3)
    places = [torch.rand(*m.shape[:3], 2, generator=generator) for m in maps]
    return random(n, large + small, d, seed=0), *maps, *places


@pytest.mark.parametrize("small", [0, 2])
def test_vicregl_is_lightlys_with_one_match(small, record_property):
    vicregl_loss = pytest.importorskip("lightly.loss.vicregl_loss")
    z, maps, small_maps, places, small_places = views_and_places(12, 2, small, 8, 5, 3, 2)

    def views(embeddings, maps, places):
        grid = lambda x: x.unflatten(1, (round(x.shape[1] ** 0.5), -1))
        return [(e, grid(m)) for e, m in zip(embeddings.unbind(1), maps.unbind(1))], [*map(grid, places.unbind(1))]

    larges, smalls = views(z[:, :2], maps, places), views(z[:, 2:], small_maps, small_places)
    theirs = vicregl_loss.VICRegLLoss(num_matches=(1, 1))(*larges, *(smalls if small else ()))

    def ours(embeddings, maps, small_maps=None):
        small_locations = None if small_maps is None else small_places.numpy()
        return losses.vicregl(
            embeddings, maps, places.numpy(), small_maps, small_locations,
            feature_matches=(1, 1), location_matches=(1, 1),
        )  # fmt: skip

    check_loss(
        record_property,
        loss="vicregl",
        peer="lightly VICRegLLoss (one match)",
        ours=ours,
        theirs=theirs.squeeze(),
        inputs=(z, maps, small_maps) if small else (z, maps),
    )


def official_vicreg_terms(x, y, weights):
    """VICRegL's loss of matched places, [N, M, C]: one moment after the other."""

    def spread_and_redundancy(z):
        deviations = torch.sqrt(z.var(dim=0) + 1e-4)
        covariances = [torch.cov(z[:, m].T) for m in range(z.shape[1])]
        redundancy = [(c - c.diag().diag()).square().sum() / len(c) for c in covariances]
        return F.relu(1 - deviations).mean(), sum(redundancy) / len(redundancy)

    (v1, c1), (v2, c2) = spread_and_redundancy(x), spread_and_redundancy(y)
    return weights[0] * F.mse_loss(x, y) + weights[1] * (v1 + v2) / 2 + weights[2] * (c1 + c2) / 2


def official_matches(x, y, places_x, places_y, count):
    """One example at a time: the places of x closest to any of y, in the map's order, and what matches them."""
    chosen, matched = [], []
    for a, b, pa, pb in zip(x, y, places_x, places_y):
        distance, index = torch.cdist(pa.double(), pb.double()).min(dim=1)
        keep = torch.tensor(sorted(sorted(range(len(a)), key=lambda i: distance[i].item())[:count]))
        chosen.append(a[keep])
        matched.append(b[index[keep]])
    return torch.stack(chosen), torch.stack(matched)


def official_vicregl(z, maps, places, alpha, by_feature, by_location, weights):
    """The authors' loss; maps and places are lists over views, of which the first two are large."""
    pairs = [(i, j) for i in range(2) for j in range(len(maps)) if i != j]
    distance = sum(F.mse_loss(z[:, i], z[:, j]) for i, j in pairs) / len(pairs)
    pooled = weights[0] * distance
    for i in range(z.shape[1]):
        pooled = pooled + official_vicreg_terms(z[:, i, None], z[:, i, None], (0, *weights[1:])) / z.shape[1]
    local = 0
    for i, j in pairs:
        for places_i, places_j, count in ((maps[i], maps[j], by_feature), (places[i], places[j], by_location)):
            first = official_matches(maps[i], maps[j], places_i.detach(), places_j.detach(), count[0])
            second = official_matches(maps[j], maps[i], places_j.detach(), places_i.detach(), count[1])
            local = local + sum(official_vicreg_terms(*m, weights) for m in (first, second)) / 2 / len(pairs)
    return alpha * pooled + (1 - alpha) * local


@pytest.mark.parametrize("feature_matches, location_matches", [(None, (20, 4)), ((5, 3), (4, 2))])
def test_vicregl_is_the_authors(feature_matches, location_matches, record_property):
    z, maps, small_maps, places, small_places = views_and_places(10, 2, 3, 8, 6, 5, 2)
    weights = (25.0, 25.0, 1.0)
    theirs = official_vicregl(
        z.double(), [*maps.double().unbind(1), *small_maps.double().unbind(1)],
        [*places.unbind(1), *small_places.unbind(1)], 0.75, feature_matches or (100, 100), location_matches, weights,
    )  # fmt: skip
    check_loss(
        record_property,
        loss="vicregl",
        peer="formula of facebookresearch/VICRegL",
        ours=lambda z, m, s: losses.vicregl(
            z,
            m,
            places.numpy(),
            s,
            small_places.numpy(),
            feature_matches=feature_matches,
            location_matches=location_matches,
        ),  # fmt: skip
        theirs=theirs,
        inputs=(z, maps, small_maps),
    )


@pytest.mark.parametrize("n, d, size, iterations", [(32, 8, 32, 1), (64, 8, 16, 2), (256, 64, 128, 1)])
@pytest.mark.parametrize("normalize, eps", [(True, 0.0), (False, 0.1)])
def test_w_mse_is_lightlys(n, d, size, iterations, normalize, eps, record_property, monkeypatch):
    wmse_loss = pytest.importorskip("lightly.loss.wmse_loss")
    z, key = pair(n, d), jax.random.key(0)
    orders = iter([torch.tensor(np.array(jax.random.permutation(k, n))) for k in jax.random.split(key, iterations)])
    monkeypatch.setattr(torch, "randperm", lambda count: next(orders))
    distance = wmse_loss.norm_mse_loss if normalize else F.mse_loss
    theirs = wmse_loss.WMSELoss(d, eps=eps, track_running_stats=False, w_iter=iterations, w_size=size, loss_fn=distance)
    check_loss(
        record_property,
        loss="w_mse",
        peer="lightly WMSELoss, in float64",
        ours=lambda a, b: losses.w_mse(a, b, key, size=size, iterations=iterations, normalize=normalize, eps=eps),
        theirs=theirs(torch.cat(z).double()),
        inputs=z,
    )


@shapes
@pytest.mark.parametrize("rho", [8.0, 20.0])
def test_tico_is_lightlys(n, d, rho, record_property):
    tico_loss = pytest.importorskip("lightly.loss.tico_loss")
    z, before = pair(n, d), torch.cov(random(4 * d, d, seed=3).T).detach()
    theirs = tico_loss.TiCoLoss(rho=rho, beta=0.8)
    theirs.C = before
    value = theirs(*z)
    after = losses.update_covariance(before.numpy(), z[0].detach().numpy(), beta=0.8)
    np.testing.assert_allclose(after, theirs.C, rtol=1e-5, atol=1e-6)
    check_loss(
        record_property,
        loss="tico",
        peer="lightly TiCoLoss",
        ours=lambda a, b: losses.tico(a, b, before.numpy(), rho=rho, beta=0.8),
        theirs=value,
        inputs=z,
    )


@shapes
def test_tico_with_all_gradients_is_sayannags(n, d, record_property):
    z, before = pair(n, d), random(d, d, seed=3)
    a, b = (F.normalize(x, dim=-1) for x in z)
    after = 0.9 * before + 0.1 * torch.einsum("ni,nj->ij", a, a) / n
    theirs = torch.einsum("ni,ij,nj->n", a, after, a).mean() * 8 - torch.einsum("ni,ni->n", a, b).mean()
    check_loss(
        record_property,
        loss="tico",
        peer="formula of sayannag/TiCo-pytorch",
        ours=lambda a, b, c: losses.tico(a, b, c, differentiate_covariance=True) - 1,
        theirs=theirs,
        inputs=(*z, before),
    )


@pytest.mark.parametrize("n, v, d", [(8, 4, 16), (32, 2, 12), (20, 6, 4)])
def test_mmcr_is_lightlys(n, v, d, record_property):
    mmcr_loss = pytest.importorskip("lightly.loss.mmcr_loss")
    views = random(n, v, d, seed=0)
    scaled = F.normalize(views.double(), dim=-1)
    check_loss(
        record_property,
        loss="mmcr",
        peer="lightly MMCRLoss, in float64",
        ours=lambda x: losses.mmcr(x, lambda_=0.05),
        theirs=mmcr_loss.MMCRLoss(lmda=0.05)(scaled[:, : v // 2], scaled[:, v // 2 :]),
        inputs=(views,),
    )


@pytest.mark.parametrize("n, v, d, lambda_", [(8, 4, 16, 0.1), (32, 2, 12, 0.0), (20, 6, 4, 1.0)])
def test_mmcr_with_momentum_is_the_authors(n, v, d, lambda_, record_property):
    online, momentum = random(n, v, d, seed=0), random(n, v, d, seed=1)
    a, b = F.normalize(online.double(), dim=-1), F.normalize(momentum.double(), dim=-1)
    centroids = (a.mean(1) + b.mean(1)) / 2
    local = sum(torch.linalg.matrix_norm(x, "nuc") for x in a) / n
    check_loss(
        record_property,
        loss="mmcr",
        peer="formula of ThomasYerxa/mmcr, in float64",
        ours=lambda x, y: losses.mmcr(x, y, lambda_=lambda_),
        theirs=lambda_ * local - torch.linalg.matrix_norm(centroids, "nuc"),
        inputs=(online, momentum),
    )


@shapes
@pytest.mark.parametrize("block_size", [None, 7])
def test_koleo_is_lightlys(n, d, block_size, record_property):
    koleo_loss = pytest.importorskip("lightly.loss.koleo_loss")
    (z, _) = pair(n, d)
    check_loss(
        record_property,
        loss="koleo",
        peer="lightly KoLeoLoss",
        ours=lambda z: losses.koleo(z, block_size=block_size),
        theirs=koleo_loss.KoLeoLoss()(z),
        inputs=(z,),
    )


@shapes
def test_koleo_is_dinov2s(n, d, record_property):
    (z, _) = pair(n, d)
    rows = F.normalize(z, eps=1e-8, dim=-1)
    nearest = (rows @ rows.T - 2 * torch.eye(n)).argmax(dim=1)
    distances = F.pairwise_distance(rows, rows[nearest], eps=1e-8)
    check_loss(
        record_property,
        loss="koleo",
        peer="formula of facebookresearch/dinov2",
        ours=losses.koleo,
        theirs=-(distances + 1e-8).log().mean(),
        inputs=(z,),
    )


def epps_pulley(projections, points, t_max):
    """By complex numbers and over both halves of the line, as in the definition."""
    t = torch.linspace(-t_max, t_max, 2 * points - 1, dtype=torch.float64)
    empirical = torch.exp(1j * projections.double()[..., None] * t).mean(dim=-3)  # [..., K, T]
    gauss = torch.exp(-(t**2) / 2)
    return projections.shape[-2] * torch.trapezoid((empirical - gauss).abs().square() * gauss, t, dim=-1).mean()


@pytest.mark.parametrize("n, d, count, points, t_max", [(16, 8, 12, 17, 3.0), (64, 32, 50, 9, 5.0), (3, 5, 7, 2, 1.0)])
def test_sigreg_is_the_authors(n, d, count, points, t_max, record_property):
    (z, _) = pair(n, d)
    directions = unit(5, d, count)
    check_loss(
        record_property,
        loss="sigreg",
        peer="formula of rbalestr-lab/lejepa, in float64",
        ours=lambda z: losses.sigreg(z, directions.numpy(), points=points, t_max=t_max),
        theirs=epps_pulley(z.double() @ directions.double(), points, t_max),
        inputs=(z,),
    )


@pytest.mark.parametrize("points, t_max", [(17, 3.0), (9, 5.0)])
def test_sigreg_is_lightlys(points, t_max, record_property, monkeypatch):
    lejepa_loss = pytest.importorskip("lightly.loss.lejepa_loss")
    views, directions = random(32, 3, 8, seed=0), unit(5, 8, 20)
    theirs = lejepa_loss.SIGReg(knots=points, t_max=t_max)
    monkeypatch.setattr(theirs, "_generate_unit_vectors", lambda *_: directions)
    check_loss(
        record_property,
        loss="sigreg",
        peer="lightly SIGReg",
        ours=lambda z: losses.sigreg(z, directions.numpy(), points=points, t_max=t_max),
        theirs=theirs(views.transpose(0, 1)),
        inputs=(views,),
    )


@pytest.mark.parametrize("global_views, lambda_", [(1, 0.05), (2, 0.5)])
def test_lejepa_is_lightlys(global_views, lambda_, record_property, monkeypatch):
    lejepa_loss = pytest.importorskip("lightly.loss.lejepa_loss")
    views, directions = random(32, 5, 8, seed=0), unit(5, 8, 20)
    theirs = lejepa_loss.LeJEPALoss(lambda_)
    monkeypatch.setattr(theirs.sigreg, "_generate_unit_vectors", lambda *_: directions)
    large, small = views.transpose(0, 1).split([global_views, 5 - global_views])
    check_loss(
        record_property,
        loss="lejepa",
        peer="lightly LeJEPALoss",
        ours=lambda z: losses.lejepa(z, directions.numpy(), lambda_=lambda_, global_views=global_views),
        theirs=theirs(local_proj=small, global_proj=large),
        inputs=(views,),
    )


@pytest.mark.parametrize("n, v, d", [(16, 2, 8), (40, 4, 32)])
def test_lejepa_is_the_authors(n, v, d, record_property):
    views, directions = random(n, v, d, seed=0), unit(5, d, 20)
    exact = views.double()
    invariance = exact.var(dim=1, correction=0).mean()
    theirs = 0.98 * invariance + 0.02 * epps_pulley(exact.transpose(0, 1) @ directions.double(), 17, 3.0)
    check_loss(
        record_property,
        loss="lejepa",
        peer="formula of rbalestr-lab/lejepa, in float64",
        ours=lambda z: losses.lejepa(z, directions.numpy(), lambda_=0.02),
        theirs=theirs,
        inputs=(views,),
    )


@pytest.mark.parametrize("global_views, scale, shape, center", [(1, 1.0, 1.0, 1.0), (2, 0.5, 3.0, 2.0)])
def test_visreg_is_lightlys(global_views, scale, shape, center, record_property, monkeypatch):
    visreg_loss = pytest.importorskip("lightly.loss.visreg_loss")
    views, directions = random(32, 5, 8, seed=0), unit(5, 8, 20)
    monkeypatch.setattr(torch, "randn", lambda *_, **__: directions)
    large, small = views.transpose(0, 1).split([global_views, 5 - global_views])
    theirs = visreg_loss.VISRegLoss(0.7, 20, scale, shape, center, eps=1e-12)(local_proj=small, global_proj=large)
    check_loss(
        record_property,
        loss="visreg",
        peer="lightly VISRegLoss",
        ours=lambda z: losses.visreg(
            z,
            directions.numpy(),
            lambda_=0.7,
            global_views=global_views,
            scale=scale,
            shape=shape,
            center=center,
            eps=1e-12,
        ),  # fmt: skip
        theirs=theirs,
        inputs=(views,),
    )


@pytest.mark.parametrize("n, v, d, global_views", [(16, 2, 8, 2), (41, 4, 32, 1)])
def test_visreg_is_the_authors(n, v, d, global_views, record_property):
    views, directions = random(n, v, d, seed=0), unit(5, d, 20)
    exact = 0.5 * views.double() + 0.2
    quantiles = torch.special.ndtri(torch.arange(1, n + 1, dtype=torch.float64) / (n + 1))
    regularisation = 0
    for view in exact.unbind(1):
        deviations = view.std(dim=0, correction=0) + 1e-6
        white = (view - view.mean(dim=0)) / deviations.detach()
        shape = ((white @ directions.double()).sort(dim=0).values - quantiles[:, None]).square().mean()
        regularisation += ((deviations - 1).square().mean() + view.mean(dim=0).square().mean() + shape) / v
    invariance = (exact - exact[:, :global_views].mean(dim=1, keepdim=True)).square().mean()
    check_loss(
        record_property,
        loss="visreg",
        peer="formula of HaiyuWu/visreg, in float64",
        ours=lambda z: losses.visreg(0.5 * z + 0.2, directions.numpy(), global_views=global_views),
        theirs=0.1 * invariance + 0.9 * regularisation,
        inputs=(views,),
    )
