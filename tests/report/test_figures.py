import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from ssl_jax import report
from ssl_jax.report import embedding
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


def test_values_outside_of_the_range_are_cut():
    stream = io.BytesIO()
    report.image_grid(np.array([[[[-1.0], [3.0]], [[1.0], [1.0]]]]), stream)
    assert set(np.unique(pixels(stream))) == {0, 255}


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


def test_views_are_drawn_in_their_sizes():
    """White originals and views on a white figure, so that what is dark is the small crops."""
    stream, white = io.BytesIO(), np.ones((3, 2, 16, 16, 1))
    report.views(np.full((3, 8, 8, 1), 255, np.uint8), {"view": white, "small": 0 * white[:, :, :8, :8]}, stream)
    dark = (pixels(stream) < 20).all(axis=2)
    runs = lambda line: np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
    row = dark[:, np.flatnonzero(dark.mean(0) > 0.2)[0] + 5]
    starts = runs(row)
    heights = starts[1::2] - starts[::2]
    assert len(heights) == 3 and np.ptp(heights) <= 2, "one a picture"
    assert np.isclose(heights[0], 0.45 * 200, atol=4), "half as tall as a view, which is 0.9 inches"


@pytest.mark.parametrize("frames, rows", [(8, 2), (9, 3), (7, 1)])
def test_frames_of_a_clip_lie_side_by_side(frames, rows):
    clips = np.arange(5 * frames * 2 * 3).reshape(5, frames, 2, 3, 1)
    sheet, across = report.film(clips), frames // rows
    assert sheet.shape == (5, rows * 2, across * 3, 1)
    for time in range(frames):
        row, column = divmod(time, across)
        np.testing.assert_array_equal(sheet[:, row * 2 : row * 2 + 2, column * 3 : column * 3 + 3], clips[:, time])


def test_reconstructions_have_three_rows():
    stream = io.BytesIO()
    report.reconstructions(random(5, 8, 8, 3), random(5, 8, 8, 3), random(5, 8, 8, 3), stream)
    height, width, _ = pixels(stream).shape
    assert 1.6 < width / height < 2.4


def test_reconstructions_of_what_is_seen_whole_have_two_rows():
    stream = io.BytesIO()
    report.reconstructions(random(5, 8, 8, 3), None, random(5, 8, 8, 3), stream)
    height, width, _ = pixels(stream).shape
    assert 2.2 < width / height < 3.2


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
    with pytest.raises(ValueError, match="1 hidden pieces"):
        report.masked_tokens([sentence], [[2]], [[["a"], ["b"]]], io.BytesIO())
    with pytest.raises(ValueError, match="2 sentences"):
        report.masked_tokens([sentence] * 2, [[2]], [[["a"]]], io.BytesIO())


def test_three_sentences_are_drawn_of_many():
    three, many = io.BytesIO(), io.BytesIO()
    for count, stream in ((3, three), (9, many)):
        report.masked_tokens([["in", "the"]] * count, [[1]] * count, [[["the", "a"]]] * count, stream)
    assert pixels(three).shape == pixels(many).shape


@pytest.mark.parametrize("classes", [3, 40])
def test_embedding_map(classes):
    labels = np.arange(90) % classes
    embeddings = np.random.default_rng(1).normal(size=(classes, 8))[labels] + 0.1 * random(90, 8)
    report.embedding_map(embeddings, labels, [f"class {i}" for i in range(classes)], io.BytesIO())


def test_groups_stay_together_on_the_map():
    labels = np.arange(60) % 3
    embeddings = 5 * np.eye(3, 8)[labels] + random(60, 8)
    points = project(embeddings.astype(np.float32))
    distance = ((points[:, None] - points[None]) ** 2).sum(-1) + 1e9 * np.eye(60)
    assert (labels[distance.argmin(1)] == labels).all()


def test_map_of_few_examples():
    report.embedding_map(random(3, 4), np.arange(3), [], io.BytesIO())
    with pytest.raises(ValueError, match="N at least 3"):
        report.embedding_map(random(2, 4), np.arange(2), [], io.BytesIO())


def test_map_of_many_examples_shows_some_of_them(monkeypatch):
    shown = []
    monkeypatch.setattr(embedding, "project", lambda chosen: shown.append(chosen) or chosen[:, :2])
    embeddings = np.arange(6400.0).reshape(1600, 4)
    for limit in ((), (), (30,)):
        report.embedding_map(embeddings, np.arange(1600) % 2, [], io.BytesIO(), *limit)
    assert shown[0].shape == (1500, 4) and len(np.unique(shown[0][:, 0])) == 1500 and shown[2].shape == (30, 4)
    np.testing.assert_array_equal(shown[0], shown[1])


def test_matplotlib_is_left_as_it_was():
    before = dict(matplotlib.rcParams)
    report.image_grid(random(2, 4, 4, 1), io.BytesIO())
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_map_of_embeddings_that_are_all_the_same(value, tmp_path):
    report.embedding_map(np.full((20, 5), value), np.arange(20) % 3, (), tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000
