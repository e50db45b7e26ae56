"""What views cost, by the compiler's count."""

import pytest

from benchmarks import augment


@pytest.mark.slow
def test_views_are_a_small_part_of_a_step_of_a_resnet50():
    given, whole = augment.flops(224, 320, augment.FLOPS_BATCH)
    assert given > 2e10  # forward alone is 8.2 GFLOP a view, and backward twice as much
    assert 0 < whole - given < 0.05 * given  # 1.6 % seen
