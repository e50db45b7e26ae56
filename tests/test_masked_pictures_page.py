"""docs/masked_pictures.md says what benchmarks/masked_pictures.py found."""

import json
import types

from benchmarks import masked_pictures


def test_page_is_made_of_the_results():
    found = json.loads(masked_pictures.RESULTS.read_text())
    assert masked_pictures.PAGE.read_text() == masked_pictures.page(found)


def test_ratios_are_by_round_and_of_wall_time_and_none_is_rounded_up_to_the_goal():
    step = dict(
        ours=[(1.0, 9.0), (1.0, 9.0), (2.0, 9.0)],
        seen=[(2.0, 9.0), (3.0, 9.0), (4.0, 9.0)],
        theirs=[(1.099, 9.0), (1.0, 9.0), (2.4, 9.0)],
    )
    quick = step | dict(theirs=[(1.1, 9.0), (1.0, 9.0), (2.4, 9.0)])
    compiling = dict(scanned=[(1.0, 9.0), (2.0, 9.0)], unrolled=[(12.0, 9.0), (32.0, 9.0)])
    shape = masked_pictures.Shape(batch=8, side=224, width=384, depth=5)
    steps = {str(shape): step, "another": quick}
    found = dict(steps=steps, compiling={"deep": compiling}, command="python this.py", hardware="here")
    page = masked_pictures.page(found)
    shown = "3 | 1000 | 3000 | 2.00 (2.00 to 3.00)"
    assert f"| 8 x 224 px, 5 blocks of 384 | {shown} | 1099 | 1.09 (1.00 to 1.20) | NO |\n" in page
    assert f"| another | {shown} | 1100 | 1.10 (1.00 to 1.20) | yes |\n" in page
    assert "| deep | 2 | 1.5 | 22.0 | 14.00 (12.00 to 16.00) |\n" in page
    assert "    python this.py\n" in page and page.endswith("Measured on: here.\n")


def test_seen_hides_nothing_from_the_encoder_and_as_much_from_the_loss():
    method = types.SimpleNamespace(backbone=types.SimpleNamespace(num_patches=16, image_shape=(64, 64, 3)))
    hidden, seen, noise = masked_pictures.views(method, masked_pictures.Shape(batch=2, side=64, width=64, depth=1))
    assert hidden["visible"].shape == (2, 4) and seen["visible"].shape == (2, 16) == noise.shape
    assert (seen["visible"][:, :4] == hidden["visible"]).all()
    for name in ("image", "restore", "mask"):
        assert seen[name] is hidden[name]
    assert (hidden["mask"].sum(1) == 12).all()
