"""How good are the embeddings? Neighbours, few labelled examples, a linear probe, on frozen features."""

from ssl_jax.evaluate.embed import embed, raw_features
from ssl_jax.evaluate.few_shot import draw_shots, few_shot
from ssl_jax.evaluate.likelihood import masked_log_likelihoods, next_log_likelihoods
from ssl_jax.evaluate.linear import linear_probe
from ssl_jax.evaluate.neighbours import knn, nearest
from ssl_jax.evaluate.ngrams import ngram_accuracy
from ssl_jax.evaluate.retrieval import Matched, matching_texts, neighbouring_sentences, tf_idf, zero_shot
from ssl_jax.evaluate.suite import MATCHING, NEIGHBOURS, ZERO_SHOT, Evaluation, check_tasks, prefixed, score_names
from ssl_jax.evaluate.words import word_scores

__all__ = [
    "MATCHING",
    "NEIGHBOURS",
    "ZERO_SHOT",
    "Evaluation",
    "Matched",
    "check_tasks",
    "draw_shots",
    "embed",
    "few_shot",
    "knn",
    "linear_probe",
    "masked_log_likelihoods",
    "matching_texts",
    "nearest",
    "neighbouring_sentences",
    "next_log_likelihoods",
    "ngram_accuracy",
    "prefixed",
    "raw_features",
    "score_names",
    "tf_idf",
    "word_scores",
    "zero_shot",
]
