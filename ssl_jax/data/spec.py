"""What a data set hands to views, methods and heads: the shapes and the meaning of its examples."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Spec:
    """Describes one example of a data set.

    Attributes:
      shapes: shape of each array of an example, without the batch axis, e.g. {'image': (8, 8, 1), 'label': ()}.
      num_classes: number of different labels; 0 when the set has none (every label is then -1).
      class_names: one name a class; empty when there are no classes.
      sample_rate: of sound, in Hz; None for what is no sound.
      vocab_size: size of the tokenizer's vocabulary. This and what follows is None where there is no text.
      pad_id: token that fills up short sequences.
      unk_id: token for what the vocabulary cannot spell; None where it has none, as are the next three.
      cls_id: first token of every sequence.
      sep_id: token that ends a segment or a document.
      mask_id: token that replaces what is to be predicted.
      special_ids: all tokens that stand for no text and are never masked.
      sentinel_ids: tokens that stand for hidden spans, in T5's order.
      word_starts: bool [vocab_size], True for tokens that begin a word.
      token_counts: int64 [vocab_size], how often each token occurs in the training split; None unless they are words.
    """

    shapes: dict[str, tuple[int, ...]]
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    sample_rate: int | None = None
    vocab_size: int | None = None
    pad_id: int | None = None
    unk_id: int | None = None
    cls_id: int | None = None
    sep_id: int | None = None
    mask_id: int | None = None
    special_ids: tuple[int, ...] | None = None
    sentinel_ids: tuple[int, ...] | None = None
    word_starts: np.ndarray | None = None
    token_counts: np.ndarray | None = None

    @property
    def modality(self) -> str:
        """'image', 'audio' or 'text'."""
        return next(name for key, name in _MODALITIES.items() if key in self.shapes)


_MODALITIES = {"image": "image", "waveform": "audio", "tokens": "text"}  # key of an example -> what it is one of
