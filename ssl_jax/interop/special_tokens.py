"""Tokenizers as transformers uses them: what a model reads of a text, special tokens included."""

from typing import TYPE_CHECKING

from ssl_jax.data.spec import Spec

if TYPE_CHECKING:
    import tokenizers


def with_special_tokens(tokenizer: "tokenizers.Tokenizer", spec: Spec) -> "tokenizers.Tokenizer":
    """A copy that spells a text as evaluations read it, [CLS] text [SEP], and a pair as [CLS] text [SEP] text [SEP].

    One that has rules for special tokens of its own keeps them.
    """
    from tokenizers import Tokenizer, processors

    copy = Tokenizer.from_str(tokenizer.to_str())
    if copy.post_processor is not None:
        return copy
    names = {number: copy.id_to_token(number) for number in (spec.cls_id, spec.sep_id) if number is not None}
    first, last = f"{names.get(spec.cls_id, '')} ".lstrip(), names[spec.sep_id]
    copy.post_processor = processors.TemplateProcessing(
        single=f"{first}$A {last}",
        pair=f"{first}$A {last} $B:1 {last}:1",
        special_tokens=[(name, number) for number, name in names.items()],
    )
    return copy
