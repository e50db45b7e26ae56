"""Contrastive losses against those of other projects, in both forms."""

import functools

import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")

from peers import bare, check_loss, random, solo  # noqa: E402

F = torch.nn.functional
shapes = pytest.mark.parametrize("n, d, temperature", [(4, 8, 0.5), (64, 128, 0.1), (33, 17, 0.07)])
both_forms = pytest.mark.parametrize("block_size", [None, 16])


@pytest.fixture
def check(record_property):
    return functools.partial(check_loss, record_property)


def embeddings(count, n, d):
    return tuple(random(n, d, seed=seed) for seed in range(count))


def cosines(a, b):
    return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


@shapes
@both_forms
def test_nt_xent_is_lightlys(n, d, temperature, block_size, check):
    peer = pytest.importorskip("lightly.loss.ntx_ent_loss").NTXentLoss(temperature=temperature)
    z = embeddings(2, n, d)
    ours = functools.partial(losses.nt_xent, temperature=temperature, block_size=block_size)
    check(loss="nt_xent", peer="lightly NTXentLoss", ours=ours, theirs=peer(*z), inputs=z)


@shapes
@both_forms
def test_nt_xent_is_pytorch_metric_learnings(n, d, temperature, block_size, check):
    peer = pytest.importorskip("pytorch_metric_learning.losses").NTXentLoss(temperature=temperature)
    z = embeddings(2, n, d)
    ours = functools.partial(losses.nt_xent, temperature=temperature, block_size=block_size)
    theirs = peer(torch.cat(z), torch.arange(n).repeat(2))
    check(loss="nt_xent", peer="pytorch-metric-learning NTXentLoss", ours=ours, theirs=theirs, inputs=z)


@shapes
@both_forms
def test_dcl_is_lightlys(n, d, temperature, block_size, check):
    peer = pytest.importorskip("lightly.loss.dcl_loss").DCLLoss(temperature=temperature)
    z = embeddings(2, n, d)
    ours = functools.partial(losses.dcl, temperature=temperature, block_size=block_size)
    check(loss="dcl", peer="lightly DCLLoss", ours=ours, theirs=peer(*z), inputs=z)


@shapes
@both_forms
@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
def test_dclw_is_lightlys(n, d, temperature, block_size, check):
    peer = pytest.importorskip("lightly.loss.dcl_loss").DCLWLoss(temperature=temperature, sigma=0.3)
    z = embeddings(2, n, d)
    ours = functools.partial(losses.dclw, temperature=temperature, sigma=0.3, block_size=block_size)
    check(loss="dclw", peer="lightly DCLWLoss", ours=ours, theirs=peer(*z), inputs=z)


@shapes
@both_forms
def test_info_nce_is_cross_entropy_of_cosines(n, d, temperature, block_size, check):
    q, k, queue = *embeddings(2, n, d), random(11, d, seed=5)
    theirs = F.cross_entropy(torch.cat([cosines(q, k), cosines(q, queue)], 1) / temperature, torch.arange(n))
    ours = lambda q, k, queue: losses.info_nce(q, k, queue=queue, temperature=temperature, block_size=block_size)
    check(loss="info_nce", peer="torch cross_entropy", ours=ours, theirs=theirs, inputs=(q, k, queue))


@shapes
@both_forms
def test_moco_is_lightlys_with_a_memory_bank(n, d, temperature, block_size, check):
    module = pytest.importorskip("lightly.loss.ntx_ent_loss")
    peer = module.NTXentLoss(temperature=temperature, memory_bank_size=(11, d))
    queue = F.normalize(random(11, d, seed=5).detach(), dim=1)
    peer.memory_bank.bank.copy_(queue.T if peer.memory_bank.bank.shape[0] == d else queue)
    queries, keys = embeddings(2, n, d)
    theirs = peer(queries, keys.detach())
    ours = lambda q: losses.moco(
        q, keys.detach().numpy(), queue.numpy(), temperature=temperature, block_size=block_size
    )  # fmt: skip
    check(loss="moco", peer="lightly NTXentLoss with a memory bank", ours=ours, theirs=theirs, inputs=(queries,))


@shapes
@both_forms
def test_moco_v3_is_the_authors(n, d, temperature, block_size, check):
    q1, q2, k1, k2 = embeddings(4, n, d)
    one = lambda q, k: F.cross_entropy(cosines(q, k.detach()) / temperature, torch.arange(n)) * 2 * temperature
    keys = (k1.detach().numpy(), k2.detach().numpy())
    ours = lambda q1, q2: losses.moco_v3(q1, q2, *keys, temperature=temperature, block_size=block_size)
    theirs = one(q1, k2) + one(q2, k1)
    check(loss="moco_v3", peer="formula of facebookresearch/moco-v3", ours=ours, theirs=theirs, inputs=(q1, q2))


@shapes
@both_forms
def test_nnclr_is_solo_learns(n, d, temperature, block_size, check):
    peer = solo("losses.nnclr").nnclr_loss_func
    z1, z2, p1, p2 = embeddings(4, n, d)
    support = random(50, d, seed=5).detach()
    near = [support[cosines(z, support).argmax(1)] for z in (z1, z2)]
    theirs = (peer(near[0], p2, temperature) + peer(near[1], p1, temperature)) / 2
    z = [x.detach().numpy() for x in (z1, z2)]
    ours = lambda p1, p2: losses.nnclr(
        *z, p1, p2, support.numpy(), temperature=temperature, block_size=block_size
    )  # fmt: skip
    check(loss="nnclr", peer="solo-learn nnclr_loss_func", ours=ours, theirs=theirs, inputs=(p1, p2))


@shapes
@both_forms
def test_sim_cse_is_the_authors(n, d, temperature, block_size, check):
    z = embeddings(3, n, d)
    similar = lambda a, b: F.cosine_similarity(a[:, None], b[None, :], dim=-1) / temperature
    theirs = F.cross_entropy(torch.cat([similar(z[0], z[1]), similar(z[0], z[2])], 1), torch.arange(n))
    ours = lambda a, b, c: losses.sim_cse(a, b, hard_negatives=c, temperature=temperature, block_size=block_size)
    check(loss="sim_cse", peer="formula of princeton-nlp/SimCSE", ours=ours, theirs=theirs, inputs=z)


@shapes
@both_forms
@pytest.mark.parametrize("classes, views", [(3, 2), (7, 1), (2, 3)])
def test_sup_con_is_pytorch_metric_learnings(n, d, temperature, block_size, classes, views, check):
    peer = pytest.importorskip("pytorch_metric_learning.losses").SupConLoss(temperature=temperature)
    labels = torch.arange(n) % min(classes, n // 2)  # every embedding has a positive: see the docstring
    z = random(n, views, d, seed=0)
    theirs = peer(z.reshape(n * views, d), labels.repeat_interleave(views))
    ours = lambda z: losses.sup_con(z, labels.numpy(), temperature=temperature, block_size=block_size)
    check(loss="sup_con", peer="pytorch-metric-learning SupConLoss", ours=ours, theirs=theirs, inputs=(z,))


@shapes
@both_forms
def test_clip_is_open_clips(n, d, temperature, block_size, check):
    bare("open_clip")
    peer = pytest.importorskip("open_clip.loss").ClipLoss()
    images, texts = embeddings(2, n, d)
    scale = torch.tensor(1 / temperature).requires_grad_()
    theirs = peer(F.normalize(images, dim=1), F.normalize(texts, dim=1), scale)
    ours = lambda x, y, scale: losses.clip(x, y, temperature=1 / scale, block_size=block_size)
    check(loss="clip", peer="open_clip ClipLoss", ours=ours, theirs=theirs, inputs=(images, texts, scale))


@shapes
@both_forms
def test_siglip_is_open_clips(n, d, temperature, block_size, check):
    bare("open_clip")
    peer = pytest.importorskip("open_clip.loss").SigLipLoss()
    images, texts = embeddings(2, n, d)
    scale, bias = torch.tensor(1 / temperature).requires_grad_(), torch.tensor(-4.0).requires_grad_()
    theirs = peer(F.normalize(images, dim=1), F.normalize(texts, dim=1), scale, bias)
    ours = lambda x, y, scale, bias: losses.siglip(x, y, temperature=1 / scale, bias=bias, block_size=block_size)
    check(loss="siglip", peer="open_clip SigLipLoss", ours=ours, theirs=theirs, inputs=(images, texts, scale, bias))


@pytest.mark.parametrize("squared, normalize, margin", [(True, True, 0.2), (False, False, 1.0), (False, True, 0.5)])
@pytest.mark.parametrize("n, d", [(4, 8), (64, 128)])
def test_triplet_is_torchs(n, d, squared, normalize, margin, check):
    triplets = embeddings(3, n, d)
    distance = lambda a, b: ((a - b) ** 2).sum(1) if squared else (a - b).norm(dim=1)
    peer = torch.nn.TripletMarginWithDistanceLoss(distance_function=distance, margin=margin)
    theirs = peer(*(F.normalize(x, dim=1) if normalize else x for x in triplets))
    ours = functools.partial(losses.triplet, squared=squared, normalize=normalize, margin=margin)
    check(loss="triplet", peer="torch TripletMarginWithDistanceLoss", ours=ours, theirs=theirs, inputs=triplets)


@pytest.mark.parametrize("n, d, alpha", [(4, 8, 2), (64, 128, 2), (33, 17, 1), (33, 17, 3)])
def test_alignment_is_the_authors(n, d, alpha, check):
    x, y = embeddings(2, n, d)
    theirs = (F.normalize(x, dim=1) - F.normalize(y, dim=1)).norm(dim=1).pow(alpha).mean()
    ours = functools.partial(losses.alignment, alpha=alpha)
    check(loss="alignment", peer="formula of SsnL/align_uniform", ours=ours, theirs=theirs, inputs=(x, y))


@pytest.mark.parametrize("n, d, t", [(4, 8, 2.0), (64, 128, 2.0), (33, 17, 5.0)])
@both_forms
def test_uniformity_is_the_authors(n, d, t, block_size, check):
    x = random(n, d, seed=0)
    theirs = torch.pdist(F.normalize(x, dim=1)).pow(2).mul(-t).exp().mean().log()
    ours = functools.partial(losses.uniformity, t=t, block_size=block_size)
    check(loss="uniformity", peer="formula of SsnL/align_uniform", ours=ours, theirs=theirs, inputs=(x,))
