"""Folders that transformers' own `save_pretrained` writes: a run may begin with each of them."""

import jax
import numpy as np
import pytest

transformers = pytest.importorskip("transformers")

from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.models import EncoderDecoder, TextTransformer, WaveformTransformer  # noqa: E402

BERT = dict(vocab_size=50, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48)
BERT |= dict(max_position_embeddings=16)
LATER = BERT | dict(max_position_embeddings=18, type_vocab_size=1, layer_norm_eps=1e-5)
READER = dict(vocab_size=50, max_length=16, width=24, depth=2, heads=3, mlp_dim=48)
LATER_READER = READER | dict(segments=1, epsilon=1e-5)
WAVES = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, conv_dim=(8, 8))
WAVES |= dict(conv_kernel=(10, 3), conv_stride=(5, 2), num_feat_extract_layers=2, num_conv_pos_embedding_groups=2)
HEARER = dict(conv_channels=(8, 8), conv_kernels=(10, 3), conv_strides=(5, 2), width=16, depth=2, heads=2, mlp_dim=32)
HEARER |= dict(position_groups=2)
GPT2 = dict(vocab_size=50, n_embd=24, n_layer=2, n_head=3, n_positions=16)
T5 = dict(vocab_size=50, d_model=24, d_kv=8, d_ff=48, num_layers=2, num_heads=3)
WRITER = dict(vocab_size=50, width=24, depth=2, heads=3, mlp_dim=48)
CASES = {
    "AlbertForPreTraining": (BERT | {"embedding_size": 12, "hidden_act": "gelu_new"}, TextTransformer,
                             READER | dict(embedding_width=12, share_layers=True, gelu="tanh")),
    "BertForPreTraining": (BERT, TextTransformer, READER),
    "BertForSequenceClassification": (BERT, TextTransformer, READER),
    "BertForQuestionAnswering": (BERT, TextTransformer, READER | dict(scan=True)),
    "Data2VecTextForMaskedLM": (LATER, TextTransformer, LATER_READER),
    "ElectraForPreTraining": (BERT | {"embedding_size": 12}, TextTransformer, READER | dict(embedding_width=12)),
    "GPT2LMHeadModel": (GPT2, TextTransformer,
                        READER | dict(mlp_dim=96, segments=0, causal=True, norm_first=True, gelu="tanh", epsilon=1e-5)),
    "RobertaForMaskedLM": (LATER, TextTransformer, LATER_READER),
    "T5ForConditionalGeneration": (T5, EncoderDecoder, WRITER),
    "Data2VecAudioForCTC": (WAVES | dict(conv_pos_kernel_size=3, num_conv_pos_embeddings=2), WaveformTransformer,
                            HEARER | dict(conv_norm="layer", position_depth=2, position_kernel=3)),
    "HubertForCTC": (WAVES | dict(num_conv_pos_embeddings=4), WaveformTransformer, HEARER | dict(position_kernel=4)),
    "Wav2Vec2ForPreTraining": (WAVES | dict(num_conv_pos_embeddings=4), WaveformTransformer,
                               HEARER | dict(position_kernel=4)),
    "Wav2Vec2ForSequenceClassification": (WAVES | dict(num_conv_pos_embeddings=4), WaveformTransformer,
                                          HEARER | dict(position_kernel=4)),
}  # fmt: skip
"""Their class -> settings of theirs, our class, its settings."""


@pytest.mark.parametrize("name", CASES)
def test_a_folder_of_transformers_is_loaded(name, tmp_path):
    theirs, kind, ours = CASES[name]
    theirs_class = getattr(transformers, name)
    model = theirs_class(theirs_class.config_class(**theirs))
    model.save_pretrained(tmp_path)
    network = nnx.eval_shape(lambda: kind(**ours, rngs=nnx.Rngs(0)))
    interop.load_folder(network, tmp_path)
    loaded = jax.tree.leaves(nnx.state(network, nnx.Param))
    assert loaded and all(isinstance(leaf, jax.Array) for leaf in loaded)
    ours = {part.tobytes() for leaf in map(np.asarray, loaded) for part in parts(leaf)}
    theirs = {name: x.detach().numpy() for name, x in model.base_model.named_parameters() if x.ndim == 2}
    missed = {name for name, x in theirs.items() if not {x.T.tobytes(), x.tobytes()} & ours}
    # A pooler is a head, and positions may start after some rows.
    assert len(theirs) > 8 and not [name for name in missed if "pooler" not in name and "position_emb" not in name]


def parts(leaf):
    """A matrix, those of stacked blocks, and queries, keys and values, which are side by side in ours."""
    for matrix in leaf if leaf.ndim == 3 else [leaf]:
        yield matrix
        if matrix.ndim == 2 and matrix.shape[1] % 3 == 0:
            yield from np.split(matrix, 3, axis=1)
