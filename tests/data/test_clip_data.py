"""Clips: the moving digits, and stretches of videos."""

from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ssl_jax import data
from ssl_jax.data import pictures
from ssl_jax.data.builders import digits, moving_digits, png
from ssl_jax.data.records import Records
from ssl_jax.errors import UserError


class Counting(tfds.core.GeneratorBasedBuilder):
    """Videos of 3 to 8 frames; each frame has the colour of its number."""

    VERSION = tfds.core.Version("1.0.0")
    name = "counting"

    def _info(self) -> tfds.core.DatasetInfo:
        features = {"video": tfds.features.Video(shape=(None, 4, 6, 3))}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        return {"train": self._generate_examples(), "test": self._generate_examples()}

    def _generate_examples(self) -> Iterator:
        for length in range(3, 9):
            yield length, {"video": [png.encode(np.full((4, 6, 3), 10 * time, np.uint8)) for time in range(length)]}


@pytest.fixture(scope="module")
def counting_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Written without TensorFlow, which TFDS asks for the type of a video when it writes one, not when it reads it."""
    folder = str(tmp_path_factory.mktemp("counting"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfds.features.Video, "dtype", np.dtype(np.uint8))
        data.prepare("counting", folder)
    return folder


@pytest.fixture(scope="module")
def moved(data_dir: str) -> dict[str, list[dict]]:
    read = lambda records: records.read(np.arange(len(records)))
    keys = ("image", "label", "direction", "picture")
    return {split: read(Records("moving_digits", data_dir, split, keys)) for split in ("train", "test")}


def test_moving_digits_are_the_digits_and_no_picture_is_in_both_splits(moved):
    pixels, labels, splits = digits.pictures()
    for split, records in moved.items():
        shown = [int(record["picture"]) for record in records]
        assert sorted(shown) == sorted(np.repeat(splits[split], 4)), "four clips of each picture"
        assert all(record["label"] == labels[record["picture"]] for record in records)
        assert len({(int(record["picture"]), int(record["direction"])) for record in records}) == len(records)
        for record in records[:20]:
            drawn = np.sort(record["image"][5].ravel())[-64:]
            np.testing.assert_array_equal(drawn, np.sort(pixels[record["picture"]].ravel()))


def test_a_clip_goes_on_in_its_direction(moved):
    steps = dict(zip(moving_digits.DIRECTIONS, [(0, 2), (2, 2), (2, 0), (2, -2), (0, -2), (-2, -2), (-2, 0), (-2, 2)]))
    for record in moved["test"][:100]:
        clip = record["image"][..., 0]
        assert clip.shape == (8, 24, 24)
        step = steps[moving_digits.DIRECTIONS[record["direction"]]]
        for now, then in zip(clip, clip[1:]):
            np.testing.assert_array_equal(np.roll(now, step, (0, 1)), then)


def test_a_single_frame_does_not_tell_the_direction(moved):
    """Whatever the direction, a digit is as often at one place as at another, in the first frame and in the last."""
    directions = np.array([record["direction"] for record in moved["train"]])
    for time in (0, 7):
        frames = np.stack([record["image"][time, ..., 0] for record in moved["train"]]) / 255
        for axis in (1, 2):
            profile = frames.sum(3 - axis)  # [clips, 24]: where the digit is, along one axis
            for direction in range(8):
                of_one = profile[directions == direction]
                apart = of_one.mean(0) - profile.mean()
                assert np.abs(apart / (of_one.std(0) / len(of_one) ** 0.5)).max() < 4.5, (time, axis, direction)


@pytest.mark.parametrize("key, classes", [("label", 10), ("direction", 8)])
def test_clips_come_as_pictures_do(key, classes, data_dir):
    cached, streamed = (
        data.ImageData("moving_digits", data_dir=data_dir, label_key=key, cache=cache) for cache in ("always", "never")
    )
    assert cached.spec.shapes == {"image": (8, 24, 24, 1), "label": ()} and cached.spec.num_classes == classes
    rows = np.array([7, 3, 3])
    first, second = cached.eval.read(rows), streamed.eval.read(rows)
    assert first["image"].shape == (3, 8, 24, 24, 1) and first["image"].dtype == np.uint8
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    assert not cached.eval.draws and not streamed.eval.draws


def test_stretches_begin_anywhere_in_training_and_in_the_middle_otherwise(data_dir):
    whole = data.ImageData("moving_digits", data_dir=data_dir).eval.read(np.arange(40))["image"]
    source = data.ImageData("moving_digits", data_dir=data_dir, frames=3, stride=2, image_size=12).eval
    small = np.stack([pictures.to_canvas(clip, 12) for clip in whole])
    still = source.read(np.arange(40))["image"]
    np.testing.assert_array_equal(still, small[:, 2:7:2])
    drawn = source.read(np.arange(40), np.arange(40, dtype=np.uint64))["image"]
    start_of = lambda clip, own: next(start for start in range(4) if (clip == own[start : start + 5 : 2]).all())
    starts = [start_of(clip, own) for clip, own in zip(drawn, small)]
    assert source.draws and set(starts) == {0, 1, 2, 3}


def test_videos_of_any_length(counting_dir):
    settings = dict(data_dir=counting_dir, image_key="video", label_key=None)
    opened = data.ImageData("counting", **settings, frames=5)
    assert opened.spec.shapes["image"] == (5, 4, 6, 3)
    clips = opened.train.read(np.arange(6))["image"]
    assert (clips == clips[:, :, :1, :1, :1]).all()
    found = sorted(tuple(clip // 10) for clip in clips[:, :, 0, 0, 0])
    # The last frame of a short video is repeated; of longer ones the middle is taken.
    short, long = [(0, 1, 2, 2, 2), (0, 1, 2, 3, 3), (0, 1, 2, 3, 4)], [(1, 2, 3, 4, 5)] * 2 + [(2, 3, 4, 5, 6)]
    assert found == short + long
    with pytest.raises(UserError, match="config.data.frames: videos differ in length in feature 'video' of 'counting'"):
        _ = data.ImageData("counting", **settings).spec


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("digits", dict(frames=2), "feature 'image' of 'digits' is a picture, and has no frames; set None"),
        ("moving_digits", dict(frames=5, stride=2), "5 frames, each 2 after the last, take 9, and .* has 8; lower"),
        ("moving_digits", dict(frames=0), "frames 0 is below 1"),
        ("moving_digits", dict(stride=2), "stride 2 must be at least 1, and 1 without frames"),
        ("moving_digits", dict(frames=4, cache="always"), "cache 'always' cannot be where frames are cut out"),
    ],
)
def test_impossible_settings(name, settings, message, data_dir):
    with pytest.raises((UserError, ValueError), match=message):
        _ = data.ImageData(name, data_dir=data_dir, **settings).spec


def test_made_up_clips_have_the_shape_of_real_ones(data_dir, counting_dir):
    made = data.ImageData("moving_digits", data_dir=data_dir, mock=4)
    assert made.train.read(np.arange(4))["image"].shape == (4, 8, 24, 24, 1)
    made = data.ImageData("counting", data_dir=counting_dir, image_key="video", label_key=None, frames=5, mock=4)
    assert made.train.read(np.arange(4))["image"].shape == (4, 5, 4, 6, 3)
