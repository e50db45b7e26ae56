"""Numbers of parameters against the papers and the released models; nothing is allocated."""

import math

import jax
import pytest
from flax import nnx

from ssl_jax.models import (
    EncoderDecoder,
    MLMHead,
    NextSentenceHead,
    PixelDecoder,
    Pooler,
    ResNet,
    RotaryViT,
    TextTransformer,
    VisualTokenizer,
    ViT,
    WaveformTransformer,
)


def count(build):
    state = nnx.state(nnx.eval_shape(lambda: build(nnx.Rngs(0))), nnx.Param)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state))


# torchvision's counts without `fc` (He et al. 2016 give no numbers).
@pytest.mark.parametrize("depth, expected", [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032), (101, 42_500_160)])
def test_resnet(depth, expected):
    assert count(lambda rngs: ResNet(depth=depth, rngs=rngs)) == expected


@pytest.mark.parametrize("width, millions", [(1, 24), (2, 94), (4, 375)])
def test_wide_resnet50(width, millions):
    """SimCLR, table 6: 24M, 94M and 375M parameters."""
    assert round(count(lambda rngs: ResNet(width_multiplier=width, rngs=rngs)) / 1e6) == millions


# ViT, table 1: 86M, 307M, 632M, classifier included. "Scaling Vision Transformers", table 2: S 22M, g 1011M.
@pytest.mark.parametrize(
    "size, patch_size, scan, expected",
    [
        ("Ti", 16, False, 5_524_416),
        ("S", 16, False, 21_665_664),
        ("B", 16, False, 85_798_656),
        ("B", 16, True, 85_798_656),
        ("L", 16, True, 303_301_632),
        ("H", 14, True, 630_764_800),
        ("g", 14, True, 1_011_202_432),
    ],
)
def test_vit(size, patch_size, scan, expected):
    build = lambda rngs: ViT(size=size, patch_size=patch_size, positions="learned", scan=scan, rngs=rngs)
    assert count(build) == expected


def test_vit_with_fixed_positions():
    assert count(lambda rngs: ViT(rngs=rngs)) == 85_798_656 - 197 * 768


def test_discrete_vae():
    """What openai/DALL-E's `Encoder()` and `Decoder()` count."""
    assert count(lambda rngs: VisualTokenizer(rngs=rngs)) == 53_786_240
    sizes = dict(vocab_size=8192, width=256, blocks=2, factor=8, channels=3, code_width=128, dtype="float32")
    assert count(lambda rngs: PixelDecoder(**sizes, rngs=rngs)) == 43_829_766


def test_rotary_vit():
    """CAPI's README: 302M. Of each block 12 squares of the width and two scales; 16 registers; patches of 14 pixels."""
    expected = 24 * (12 * 1024**2 + 2 * 1024) + 16 * 1024 + (3 * 14**2 + 1) * 1024
    assert count(lambda rngs: RotaryViT(size="L", patch_size=14, scan=True, rngs=rngs)) == expected == 302_658_560


class BERT(nnx.Module):
    """Everything of BertForPreTraining."""

    def __init__(self, width, depth, heads, rngs):
        shape = dict(width=width, depth=depth, heads=heads, mlp_dim=4 * width)
        self.encoder = TextTransformer(vocab_size=30522, scan=True, rngs=rngs, **shape)
        self.pooler = Pooler(width, rngs=rngs)
        self.mlm_head = MLMHead(width, 30522, rngs=rngs)
        self.next_head = NextSentenceHead(width, rngs=rngs)


# BERT, section 3: 110M and 340M, rounded; Hugging Face's BertModel and its heads give the exact numbers.
@pytest.mark.parametrize(
    "sizes, trunk, heads", [((768, 12, 12), 109_482_240, 624_188), ((1024, 24, 16), 335_141_888, 1_084_220)]
)
def test_bert(sizes, trunk, heads):
    model = nnx.eval_shape(lambda: BERT(*sizes, nnx.Rngs(0)))
    number = lambda part: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(part, nnx.Param)))
    assert number(model.encoder) + number(model.pooler) == trunk
    assert number(model.mlm_head) + number(model.next_head) == heads


# Hugging Face's RobertaModel without its pooler and the two rows of positions that padding has there, AlbertModel
# without its pooler, ElectraModel and GPT2Model: 125M, 12M, 14M (with head) and 124M in the papers.
@pytest.mark.parametrize(
    "settings, expected",
    [
        (dict(vocab_size=50265, segments=1), 124_645_632 - 768 * 769 - 2 * 768),
        (dict(vocab_size=30000, embedding_width=128, share_layers=True), 11_683_584 - 768 * 769),
        (dict(vocab_size=30522, embedding_width=128, width=256, heads=4, mlp_dim=1024), 13_483_008),
        (dict(vocab_size=50257, max_length=1024, segments=0, causal=True, norm_first=True), 124_439_808),
    ],
)
def test_kin_of_bert(settings, expected):
    assert count(lambda rngs: TextTransformer(scan=True, rngs=rngs, **settings)) == expected


def test_t5():
    """Hugging Face's T5ForConditionalGeneration; 220M in the paper, section 2.1."""
    assert count(lambda rngs: EncoderDecoder(vocab_size=32128, scan=True, rngs=rngs)) == 222_903_552


# HuBERT (Hsu et al. 2021), table 1: 95M and 317M, heads included; transformers' count of its `Wav2Vec2Model`.
@pytest.mark.parametrize(
    "settings, expected",
    [
        (dict(), 94_371_712),
        (
            dict(width=1024, depth=24, heads=16, mlp_dim=4096, norm_first=True, conv_norm="layer", conv_bias=True),
            315_438_720,
        ),
    ],
)
def test_waveform_transformer(settings, expected):
    assert count(lambda rngs: WaveformTransformer(**settings, scan=True, rngs=rngs)) == expected
