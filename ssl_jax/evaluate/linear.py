"""Linear probe: a logistic regression on frozen embeddings."""

import warnings

import numpy as np

from ssl_jax.evaluate.neighbours import check_labelled


def linear_probe(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    *,
    c: float = 1.0,
    max_iter: int = 500,
) -> float:
    """Test accuracy of scikit-learn's multinomial logistic regression (L-BFGS, L2) on standardised features.

    Each feature is centred and scaled by its training mean and standard deviation. The fit ends after `max_iter`
    iterations whether it has converged or not. It runs on the host and holds both sets in memory.

    Args:
      train_x: [N, D] any float type.
      train_y: int [N], at least two classes.
      test_x: [M, D].
      test_y: int [M].
      c: inverse strength of the L2 penalty on the weights, against the sum of the losses over the examples.
      max_iter: iterations of L-BFGS at most.

    Returns:
      Accuracy, 0 to 1.

    Raises:
      ValueError: shapes that do not go together, an empty set, a single class, or a setting that is not positive.
    """
    if c <= 0 or max_iter < 1:
        raise ValueError(f"c {c} and max_iter {max_iter} must be positive")
    check_labelled(train_x, train_y, test_x, test_y)
    # Imported here because it takes a second, and the loop needs the settings of this room before it needs a probe.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=max_iter))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(np.asarray(train_x, np.float32), train_y)
    return float(np.mean(probe.predict(np.asarray(test_x, np.float32)) == test_y))
