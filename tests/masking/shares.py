"""What share of a sequence hidden spans should cover, and whether it is that."""

import numpy as np
from scipy import stats


def near(shares, expected):
    """Whether the mean of independent draws is within 4.5 standard errors of what is expected."""
    return abs(np.mean(shares) - expected) < 4.5 * np.std(shares, ddof=1) / np.sqrt(len(shares))


def expected_share(length, start_rate, span):
    """Of all frames, those that one of the starts covers, which are drawn without replacement among their places."""
    places, starts, frames = length - span + 1, start_rate * length, np.arange(length)
    covering = np.minimum(frames, places - 1) - np.maximum(0, frames - span + 1) + 1  # places whose span has the frame
    share = 0.0
    for count, chance in ((int(starts), 1 - starts % 1), (int(starts) + 1, starts % 1)):
        share += chance * (1 - stats.hypergeom(places, covering, count).pmf(0).mean())
    return share
