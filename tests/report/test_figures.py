import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from ssl_jax import report
from ssl_jax.report.embedding import project


def random(*shape):
    return np.random.default_rng(0).random(shape)


def pixels(stream):
    return np.asarray(Image.open(stream).convert("RGB")).astype(int)


def test_grid_shows_each_picture_once_in_its_place():
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    images = np.broadcast_to(colours[:, None, None, :], (3, 4, 4, 3))
    stream = io.BytesIO()
    report.image_grid(images, stream)
    picture = pixels(stream)
    middle = picture[picture.shape[0] // 2]
    found = [(middle == colour).all(axis=1) for colour in colours]
    centres = [np.flatnonzero(where).mean() for where in found]
    assert centres == sorted(centres)
    assert np.ptp([where.sum() for where in found]) <= 2


def test_values_outside_of_the_range_are_cut_or_stretched():
    image = np.array([[[[-1.0], [3.0]], [[1.0], [1.0]]]])
    cut, stretched = io.BytesIO(), io.BytesIO()
    report.image_grid(image, cut)
    report.image_grid(image, stretched, stretch=True)
    assert set(np.unique(pixels(cut))) == {0, 255}
    assert {127, 128} & set(np.unique(pixels(stretched)))


@pytest.mark.parametrize("shape", [(11, 8, 8, 1), (2, 3, 8, 8, 3), (1, 4, 90, 2, 3)])
def test_grids_of_any_shape(shape):
    report.image_grid(random(*shape), io.BytesIO())


def test_grids_that_do_not_work():
    with pytest.raises(ValueError, match="neither"):
        report.image_grid(random(8, 8, 3), io.BytesIO())
    with pytest.raises(ValueError, match="neither"):
        report.image_grid(random(0, 8, 8, 3), io.BytesIO())
    with pytest.raises(ValueError, match="2 names for 3 columns"):
        report.image_grid(random(1, 3, 8, 8, 1), io.BytesIO(), columns=("a", "b"))


def test_views_of_another_size_than_the_original(tmp_path):
    report.views((255 * random(3, 8, 8, 1)).astype(np.uint8), random(3, 5, 16, 16, 1) * 4 - 2, tmp_path / "views.png")
    assert (tmp_path / "views.png").stat().st_size > 1000


def test_reconstructions_have_three_rows():
    stream = io.BytesIO()
    report.reconstructions(random(5, 8, 8, 3), random(5, 8, 8, 3), random(5, 8, 8, 3), stream)
    height, width, _ = pixels(stream).shape
    assert 1.6 < width / height < 2.4


@pytest.mark.parametrize("labels", [{}, dict(query_labels=[0, 1], neighbour_labels=np.array([[0, 1, 1], [1, 1, 0]]))])
def test_neighbours_of_pictures(labels):
    report.nearest_neighbours_images(random(2, 8, 8, 3), random(2, 3, 8, 8, 3), io.BytesIO(), **labels)
    report.nearest_neighbours_images(
        random(2, 8, 8, 3),
        random(2, 3, 8, 8, 3),
        io.BytesIO(),
        class_names=["a & b", "a name that is far too long"],
        **labels,
    )


def test_neighbours_in_words_with_signs_that_mean_something_to_matplotlib():
    texts = ["pay $5 or $6", "a_b^c \\frac", "漢字 has no glyph here", ""]
    report.nearest_neighbours_text(texts, [texts[::-1]] * 4, io.BytesIO())
    report.nearest_neighbours_text(
        texts,
        [texts[:2]] * 4,
        io.BytesIO(),
        query_labels=["x"] * 4,
        neighbour_labels=[["x", "y"]] * 4,
        similarities=[[0.9, 0.1]] * 4,
    )


def test_long_texts_are_cut_and_make_no_wider_picture():
    short, long = io.BytesIO(), io.BytesIO()
    report.nearest_neighbours_text(["a"], [["b"]], short)
    report.nearest_neighbours_text(["word " * 500], [["x" * 500]], long)
    assert pixels(short).shape[1] == pixels(long).shape[1]
    assert pixels(long).shape[0] < 1200


def test_masked_tokens():
    sentence = "in the beginning god creat ##ed the heaven".split()
    arguments = [sentence], [[2, 5]], [[["beginning", "end"], ["##es", "##ed"]]]
    report.masked_tokens(*arguments, io.BytesIO())
    report.masked_tokens(*arguments, io.BytesIO(), probabilities=[[[0.9, 0.1], [0.6, 0.3]]])
    with pytest.raises(ValueError, match="1 hidden pieces"):
        report.masked_tokens([sentence], [[2]], [[["a"], ["b"]]], io.BytesIO())
    with pytest.raises(ValueError, match="2 sentences"):
        report.masked_tokens([sentence] * 2, [[2]], [[["a"]]], io.BytesIO())


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("classes", [3, 40])
def test_embedding_map(method, classes):
    labels = np.arange(90) % classes
    embeddings = np.random.default_rng(1).normal(size=(classes, 8))[labels] + 0.1 * random(90, 8)
    report.embedding_map(embeddings, labels, [f"class {i}" for i in range(classes)], io.BytesIO(), method=method)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_groups_stay_together_on_the_map(method):
    labels = np.arange(60) % 3
    embeddings = 5 * np.eye(3, 8)[labels] + random(60, 8)
    points = project(embeddings.astype(np.float32), method=method)
    distance = ((points[:, None] - points[None]) ** 2).sum(-1) + 1e9 * np.eye(60)
    assert (labels[distance.argmin(1)] == labels).all()


def test_map_of_few_or_many_examples():
    report.embedding_map(random(3, 4), np.arange(3), [], io.BytesIO())
    report.embedding_map(random(300, 4), np.arange(300) % 2, [], io.BytesIO(), examples=50, method="pca")
    with pytest.raises(ValueError, match="N at least 3"):
        report.embedding_map(random(2, 4), np.arange(2), [], io.BytesIO())
    with pytest.raises(ValueError, match="umap"):
        report.embedding_map(random(9, 4), np.arange(9), [], io.BytesIO(), method="umap")


def test_matplotlib_is_left_as_it_was():
    before = dict(matplotlib.rcParams)
    report.image_grid(random(2, 4, 4, 1), io.BytesIO())
    assert dict(matplotlib.rcParams) == before
