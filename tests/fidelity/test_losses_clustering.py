"""Clustering losses and pretext tasks against those of other projects."""

import jax
import pytest

from ssl_jax import losses

torch = pytest.importorskip("torch")

from peers import check_loss, random, solo  # noqa: E402


def unit_scores(n, views, k, seed, d=16):
    """Cosines of projections [n, views, d] with k prototypes, as a leaf."""
    projections, prototypes = random(n, views, d, seed=seed), random(k, d, seed=seed + 1)
    normalize = torch.nn.functional.normalize
    return (normalize(projections, dim=-1) @ normalize(prototypes, dim=-1).T).detach().requires_grad_()


def balanced(scores, epsilon, iterations):
    """distributed_sinkhorn of main_swav.py on one process: rows of Q are prototypes."""
    q = torch.exp(scores / epsilon).T
    prototypes, samples = q.shape
    q = q / q.sum()
    for _ in range(iterations):
        q = q / (q.sum(dim=1, keepdim=True) * prototypes)
        q = q / (q.sum(dim=0, keepdim=True) * samples)
    return (q * samples).T


def main_swav(scores, queue, temperature, epsilon, iterations):
    """The loss of main_swav.py: crops 0 and 1 assign, and the queue's scores go before the batch's."""
    n, crops, _ = scores.shape
    loss = 0.0
    for crop in (0, 1):
        with torch.no_grad():
            out = scores[:, crop]
            if queue is not None:
                out = torch.cat((queue[:, crop], out))
            q = balanced(out, epsilon, iterations)[-n:]
        subloss = 0.0
        for other in range(crops):
            if other != crop:
                log_p = torch.log_softmax(scores[:, other] / temperature, dim=1)
                subloss = subloss - (q * log_p).sum(dim=1).mean()
        loss = loss + subloss / (crops - 1)
    return loss / 2


@pytest.mark.parametrize(
    "n, crops, k, queued, temperature, epsilon, iterations",
    [
        (16, 2, 10, 0, 0.1, 0.05, 3),
        (64, 8, 30, 0, 0.1, 0.05, 3),
        (9, 3, 40, 25, 0.1, 0.05, 3),
        (32, 4, 7, 64, 0.2, 0.1, 5),
    ],
)
def test_swav_is_the_authors(n, crops, k, queued, temperature, epsilon, iterations, record_property):
    scores = unit_scores(n, crops, k, seed=0)
    queue = unit_scores(queued, 2, k, seed=5).detach() if queued else None
    settings = dict(temperature=temperature, epsilon=epsilon, iterations=iterations)
    check_loss(
        record_property,
        loss="swav",
        peer="formula of facebookresearch/swav",
        ours=lambda x: losses.swav(x, queue_scores=None if queue is None else queue.numpy(), **settings),
        theirs=main_swav(scores, queue, **settings),
        inputs=(scores,),
    )


@pytest.mark.parametrize("n, large, small, k, queued", [(16, 2, 0, 10, 0), (33, 2, 6, 20, 0), (8, 3, 2, 30, 40)])
def test_swav_is_lightlys(n, large, small, k, queued, record_property):
    swav_loss = pytest.importorskip("lightly.loss.swav_loss")
    scores = unit_scores(n, large + small, k, seed=1)
    queue = unit_scores(queued, large, k, seed=7).detach() if queued else None
    crops = list(scores.unbind(1))
    theirs = swav_loss.SwaVLoss()(crops[:large], crops[large:], None if queue is None else list(queue.unbind(1)))
    check_loss(
        record_property,
        loss="swav",
        peer="lightly SwaVLoss",
        ours=lambda x: losses.swav(x, assigning_views=large, queue_scores=None if queue is None else queue.numpy()),
        theirs=theirs[0],
        inputs=(scores,),
    )


@pytest.mark.parametrize("n, views, k, temperature", [(16, 2, 10, 0.1), (40, 4, 25, 0.2)])
def test_swav_is_solo_learns(n, views, k, temperature, record_property):
    balance = solo("utils.sinkhorn_knopp").SinkhornKnopp()
    scores = unit_scores(n, views, k, seed=2)
    crops = list(scores.unbind(1))
    assignments = [balance(crop) for crop in crops]
    check_loss(
        record_property,
        loss="swav",
        peer="solo-learn swav_loss_func with SinkhornKnopp",
        ours=lambda x: losses.swav(x, assigning_views=views, temperature=temperature),
        theirs=solo("losses.swav").swav_loss_func(crops, assignments, temperature=temperature),
        inputs=(scores,),
    )


def capi_assignments(scores, temperature, iterations):
    """`sinkhorn_knopp` of CAPI's model.py, of [n, patches, k]: positions first, exponentials of at most 50."""
    m = scores.detach().transpose(0, 1) / temperature
    m = torch.exp(m + 50 - m.max(dim=-2, keepdim=True).values)
    for _ in range(iterations):
        m = m / (m.sum(dim=-2, keepdim=True) + 1e-8)
        m = m / (m.sum(dim=-1, keepdim=True) + 1e-8)
    return m.transpose(0, 1)


@pytest.mark.parametrize(
    "n, patches, k, temperatures, iterations", [(16, 4, 10, (0.06, 0.12), 3), (9, 5, 30, (0.1, 0.2), 5)]
)
def test_capi_is_the_authors(n, patches, k, temperatures, iterations, record_property):
    """The sum of the student's loss and of the clustering's, each with its own gradient."""
    student, teacher = unit_scores(n, patches, k, seed=30), unit_scores(n, patches, k, seed=33)
    sharp, soft = temperatures
    assigned = capi_assignments(teacher, sharp, iterations)
    entropy = lambda x: -(assigned * torch.log_softmax(x / soft, dim=-1)).sum(-1).mean()

    def ours(student, teacher):
        q = losses.positionwise_sinkhorn(teacher, temperature=sharp, iterations=iterations)
        return losses.capi(student, q, temperature=soft) + losses.capi(teacher, q, temperature=soft)

    check_loss(
        record_property,
        loss="capi",
        peer="formula of facebookresearch/capi",
        ours=ours,
        theirs=entropy(student) + entropy(teacher),
        inputs=(student, teacher),
    )


@pytest.mark.parametrize("n, patches, asked, k", [(16, 4, 4, 10), (12, 6, 2, 20)])
def test_capi_is_lightlys(n, patches, asked, k, record_property):
    capi_loss = pytest.importorskip("lightly.loss.capi_loss")
    teacher, student = unit_scores(n, patches, k, seed=36).detach(), unit_scores(n, asked, k, seed=39)
    places = torch.stack(
        [torch.randperm(patches, generator=torch.Generator().manual_seed(i))[:asked] for i in range(n)]
    )
    wanted = lambda q: jax.numpy.take_along_axis(q, places.numpy()[:, :, None], axis=1)
    check_loss(
        record_property,
        loss="capi",
        peer="lightly CAPILoss",
        ours=lambda x: losses.capi(x, wanted(losses.positionwise_sinkhorn(teacher.numpy()))),
        theirs=capi_loss.CAPILoss()(teacher, student, places),
        inputs=(student,),
    )


def clusters(n, sizes, missing, seed):
    generator = torch.Generator().manual_seed(seed)
    assignments = torch.stack([torch.randint(k, (n,), generator=generator) for k in sizes], dim=1)
    assignments[torch.rand(n, len(sizes), generator=generator) < 0.3] = missing
    return assignments


@pytest.mark.parametrize("n, views, sizes", [(12, 2, (5,)), (20, 8, (6, 6, 6)), (7, 3, (4, 9))])
def test_deepcluster_is_the_authors(n, views, sizes, record_property):
    heads = [unit_scores(n, views, k, seed=10 + i) for i, k in enumerate(sizes)]
    assignments = clusters(n, sizes, -100, seed=3)
    # main_deepclusterv2.py: outputs are view after view, and the targets are repeated once a view.
    entropy = torch.nn.CrossEntropyLoss(ignore_index=-100)
    terms = [
        entropy(head.transpose(0, 1).reshape(views * n, -1) / 0.1, assignments[:, h].repeat(views))
        for h, head in enumerate(heads)
    ]
    check_loss(
        record_property,
        loss="deepcluster_v2",
        peer="formula of facebookresearch/swav",
        ours=lambda *x: losses.deepcluster_v2(x, assignments.numpy()),
        theirs=sum(terms) / len(sizes),
        inputs=heads,
    )


@pytest.mark.parametrize("n, views, heads, k, temperature", [(10, 2, 3, 8, 0.1), (33, 4, 1, 20, 0.3)])
def test_deepcluster_is_solo_learns(n, views, heads, k, temperature, record_property):
    theirs = solo("losses.deepclusterv2").deepclusterv2_loss_func
    scores = [unit_scores(n, views, k, seed=20 + i) for i in range(heads)]
    assignments = clusters(n, (k,) * heads, -1, seed=4)
    outputs = torch.stack([head.transpose(0, 1) for head in scores])  # P x V x N x C
    check_loss(
        record_property,
        loss="deepcluster_v2",
        peer="solo-learn deepclusterv2_loss_func",
        ours=lambda *x: losses.deepcluster_v2(x, assignments.numpy(), temperature=temperature),
        theirs=theirs(outputs, assignments.T, temperature=temperature),
        inputs=scores,
    )


@pytest.mark.parametrize("name, classes", [("rotation", 4), ("relative_position", 8), ("jigsaw", 1000)])
@pytest.mark.parametrize("shape", [(3,), (64,), (6, 4)])
def test_pretext_losses_are_torchs_cross_entropy(name, classes, shape, record_property):
    logits = random(*shape, classes, seed=6)
    labels = torch.randint(classes, shape, generator=torch.Generator().manual_seed(7))
    check_loss(
        record_property,
        loss=name,
        peer="torch cross_entropy",
        ours=lambda x: getattr(losses, name)(x, labels.numpy()),
        theirs=torch.nn.functional.cross_entropy(logits.reshape(-1, classes), labels.reshape(-1)),
        inputs=(logits,),
    )


def test_queue_holds_what_the_authors_does():
    """main_swav.py shifts its queue back and writes each batch at the front: as many whole batches are kept."""
    theirs, ours = torch.zeros(12, 3), jax.numpy.zeros((12, 3))
    for step in range(5):
        batch = random(4, 3, seed=step).detach()
        theirs[4:] = theirs[:-4].clone()
        theirs[:4] = batch
        ours = losses.update_queue(ours, batch.numpy())
    oldest_first = torch.cat([theirs[8:], theirs[4:8], theirs[:4]])
    torch.testing.assert_close(torch.tensor(jax.device_get(ours)), oldest_first, rtol=0, atol=0)
