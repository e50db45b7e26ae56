"""How good are the embeddings? Neighbours, few labelled examples, a linear probe, on frozen features."""

from ssl_jax.evaluate.embed import embed, raw_features
from ssl_jax.evaluate.few_shot import draw_shots, few_shot
from ssl_jax.evaluate.likelihood import masked_log_likelihoods, next_log_likelihoods
from ssl_jax.evaluate.linear import linear_probe
from ssl_jax.evaluate.neighbours import knn, nearest
from ssl_jax.evaluate.ngrams import ngram_accuracy
from ssl_jax.evaluate.suite import Evaluation, check_tasks, prefixed
from ssl_jax.evaluate.words import word_scores

__all__ = [
    "Evaluation",
    "check_tasks",
    "draw_shots",
    "embed",
    "few_shot",
    "knn",
    "linear_probe",
    "masked_log_likelihoods",
    "nearest",
    "next_log_likelihoods",
    "ngram_accuracy",
    "prefixed",
    "raw_features",
    "word_scores",
]
