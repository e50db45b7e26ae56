"""Folders that transformers' own `save_pretrained` writes: a run may begin with each of them."""

import jax
import numpy as np
import pytest

transformers = pytest.importorskip("transformers")

from flax import nnx  # noqa: E402

from ssl_jax import interop  # noqa: E402
from ssl_jax.models import EncoderDecoder, ResNet, TextTransformer, ViT, WaveformTransformer  # noqa: E402

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
SEEN = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, image_size=16)
SEEN |= dict(patch_size=4)
SEER = dict(width=24, depth=2, heads=3, mlp_dim=48, image_size=16, patch_size=4, positions="learned")
SHARED = SEEN | dict(use_mask_token=True, use_shared_relative_position_bias=True)
RELATIVE = SEER | dict(positions="relative", layer_scale=0.1)
MAE = dict(decoder_hidden_size=12, decoder_num_hidden_layers=1, decoder_num_attention_heads=2)
RESNET = dict(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 2], layer_type="basic")
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
    "BeitForMaskedImageModeling": (SHARED, ViT, RELATIVE),
    "Data2VecVisionModel": (SHARED | dict(use_mean_pooling=False), ViT, RELATIVE),
    "Dinov2ForImageClassification": ({name: SEEN[name] for name in SEEN if name != "intermediate_size"}
                                     | dict(mlp_ratio=2), ViT, SEER | dict(layer_scale=1.0)),
    "IJepaForImageClassification": (SEEN, ViT, SEER | dict(pooling="mean", scan=True)),
    "ResNetForImageClassification": (RESNET, ResNet, dict(stage_sizes=(2, 2), base_width=8)),
    "ViTForImageClassification": (SEEN, ViT, SEER),
    "ViTForMaskedImageModeling": (SEEN | dict(encoder_stride=4), ViT, SEER),
    "ViTMAEForPreTraining": (SEEN | MAE, ViT, SEER),
    "ViTModel": (SEEN | dict(layer_norm_eps=1e-6), ViT, SEER),
    "ViTMSNForImageClassification": (SEEN, ViT, SEER),
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
    theirs = {name: x.detach().numpy() for name, x in model.base_model.named_parameters() if x.ndim in (2, 4)}
    missed = {name for name, x in theirs.items() if not {turned(x).tobytes(), x.tobytes()} & ours}
    # A pooler is a head, and positions may start after some rows.
    assert len(theirs) > 8 and not [name for name in missed if "pooler" not in name and "position_emb" not in name]


def turned(x):
    """A matrix transposed, or a kernel of a convolution with its channels last."""
    return x.T if x.ndim == 2 else x.transpose(2, 3, 1, 0)


def parts(leaf):
    """A matrix, those of stacked blocks, and queries, keys and values, which are side by side in ours."""
    for matrix in leaf if leaf.ndim == 3 else [leaf]:
        yield matrix
        if matrix.ndim == 2 and matrix.shape[1] % 3 == 0:
            yield from np.split(matrix, 3, axis=1)
