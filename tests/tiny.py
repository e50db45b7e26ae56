"""The smallest configs that still are real: one for each method, seconds on two cores.

Temperatures and rates are such that training does not amplify rounding: for 50 steps, one device and eight agree.
"""

import atexit
import functools
import json
import pathlib
import shutil
import tempfile
from typing import Any

import ml_collections

from ssl_jax import config as configs


def config(method: str, /, **leaves: Any) -> dict[str, Any]:
    """The plain config of a method; `leaves` override: config('mae', steps=3, optimizer=dict(weight_decay=0.1)).

    A ConfigDict in place of a dict replaces a whole part.
    """
    node = _COMMON | _PARTS[method]
    if method == "beit":
        node["method"] = {"tokenizer": tokenizer_folder()} | node["method"]
    node["evaluate"] = {"map_limit": 30} | node["evaluate"]
    for name, value in leaves.items():
        node[name] = node.get(name, {}) | value if isinstance(value, dict) else value
    return configs.plain(node)


_COMMON = dict(
    seed=0,
    steps=50,
    batch_size=32,
    log_every=5,
    optimizer=dict(name="adamw", learning_rate=1e-3, weight_decay=0.01),
    schedule=dict(name="warmup_cosine", warmup_steps=5),
    checkpoint=dict(every=10),
    evaluate=dict(batch_size=120, during=("knn_full",), tasks=("knn_1shot", "knn_full")),
    expected=dict(results={}),
)
_TEXT = dict(modality="text", name="kjv", label_key="book", vocab_size=512, sequence_length=32)
_TEXT |= dict(eval_train_split="train[:20%]", eval_split="test[:20%]")
_READER = dict(name="text_transformer", vocab_size=512, max_length=32, width=24, depth=2, heads=3, mlp_dim=48)
_READ = dict(batch_size=256, during=("knn_full",), tasks=("knn_full",), limit=256)
_DIGITS = dict(
    data=dict(modality="image", name="digits"),
    views=dict(name="affine"),
    model=dict(name="resnet", stage_sizes=(1,), base_width=8, stem="small", channels=1),
)
_VIT = dict(name="vit", size="Ti", image_size=8, patch_size=2, channels=1, width=24, depth=2, heads=3, mlp_dim=48)
_CROPS = dict(
    data=dict(modality="image", name="digits"),
    views=dict(
        name="dino", jitter=0.0, grayscale=0.0, blur=0.0, second_blur=0.0, local_blur=0.0, local_size=4, local_crops=2,
        flip=0.0, mean=(0.3,), std=(0.37,),
    ),
    model=dict(_VIT, pooling="cls", positions="learned", drop_path=0.1),
)  # fmt: skip
_HIDDEN = dict(data=dict(modality="image", name="digits"), views=dict(name="mae", flip=0.0, mean=(0.3,), std=(0.37,)))
_CAPTIONED = dict(
    data=dict(
        modality="image", name="openmoji", text_keys=("caption_en", "caption_de"), text_length=8, vocab_size=200,
        image_size=16, mock=64,
    ),
    views=dict(name="mae", flip=0.0),
    evaluate=dict(batch_size=32, during=("knn_full",), tasks=("knn_full", "zero_shot", "retrieval")),
)  # fmt: skip
_CAPTIONED_VIT = dict(_VIT, image_size=16, patch_size=8, channels=3, positions="learned")
_SPEECH = dict(
    data=dict(modality="audio", name="asterisk_sounds", seconds=0.4, label_key="language", mock=64),
    views=dict(name="waveform"),
    model=dict(
        name="waveform_transformer", conv_channels=(8, 8, 12), conv_kernels=(16, 5, 4), conv_strides=(8, 5, 4),
        width=16, depth=2, heads=2, mlp_dim=32, position_kernel=4, position_groups=2, dropout=0.0,
        initializer_range=0.1,
    ),
    evaluate=dict(batch_size=32, during=("knn_full",), tasks=("knn_full",)),
)  # fmt: skip
_FRAMES = dict(name="log_mel_frames", mels=16)
_SPANS = dict(start_rate=0.15, span=3)
_FAST = dict(_COMMON["optimizer"], learning_rate=1e-2)
_SLOW = dict(_COMMON["optimizer"], learning_rate=5e-4)
_HEAD = dict(projector_hidden=16, projector_out=8)
_WIDE_HEAD = dict(projector_hidden=32, projector_out=16)
_DINO_HEAD = dict(prototypes=32, head_hidden=24, head_bottleneck=64, momentum=0.9, warmup_teacher_steps=20)
_PARTS = dict(
    simclr=dict(_DIGITS, method=dict(name="simclr", **_HEAD)),
    barlow_twins=dict(_DIGITS, method=dict(name="barlow_twins", **_WIDE_HEAD)),
    byol=dict(_DIGITS, method=dict(name="byol", momentum=0.9, **_HEAD)),
    dino=dict(_CROPS, method=dict(name="dino", teacher_temperature=0.07, center_momentum=0.0, **_DINO_HEAD)),
    dinov2=dict(_CROPS, method=dict(name="dinov2", patch_prototypes=24, **_DINO_HEAD)),
    ibot=dict(_CROPS, method=dict(name="ibot", center_momentum=0.0, **_DINO_HEAD)),
    lejepa=dict(
        _DIGITS,
        views=dict(name="simclr", strength=0.5, blur=0.0, jitter=0.0, grayscale=0.0, local_crops=2, local_size=4),
        method=dict(name="lejepa", directions=16, **_HEAD),
    ),
    # Wide enough that no example finds all hidden units of the predictor at rest: its prediction would be of length 0.
    simsiam=dict(_DIGITS, method=dict(name="simsiam", predictor_hidden=32, **_WIDE_HEAD), optimizer=_SLOW),
    swav=dict(
        _DIGITS,
        views=dict(name="swav", out_size=8, local_size=6, local_crops=2, mean=(0.3,), std=(0.37,)),
        method=dict(name="swav", prototypes=12, freeze_prototypes_steps=3, queue_size=64, queue_start=1, **_HEAD),
    ),
    vicreg=dict(_DIGITS, method=dict(name="vicreg", **_HEAD)),
    moco_v2=dict(_DIGITS, method=dict(name="moco_v2", momentum=0.9, queue_size=128, statistics_groups=4, **_HEAD)),
    moco_v3=dict(
        _DIGITS,
        model=dict(_VIT, patch_size=4),
        method=dict(name="moco_v3", **_HEAD),
        optimizer=dict(_COMMON["optimizer"], frozen=("backbone.patch_embedding",)),
    ),
    supervised=dict(_DIGITS, method=dict(name="supervised", label_smoothing=0.1), optimizer=_FAST),
    attentive_probe=dict(
        _HIDDEN, model=dict(_VIT, pooling="cls"), method=dict(name="attentive_probe", heads=2), optimizer=_FAST
    ),
    sup_con=dict(_DIGITS, method=dict(name="sup_con", temperature=0.5, **_HEAD), optimizer=_FAST),
    nnclr=dict(_DIGITS, method=dict(name="nnclr", temperature=0.5, queue_size=128, predictor_hidden=64, **_WIDE_HEAD)),
    dcl=dict(_DIGITS, method=dict(name="dcl", temperature=0.2, **_WIDE_HEAD)),
    msn=dict(
        _DIGITS,
        views=dict(name="swav", out_size=8, local_size=4, local_crops=2, mean=(0.3,), std=(0.37,)),
        model=dict(_VIT, pooling="cls", positions="learned"),
        method=dict(name="msn", mask_ratio=0.5, prototypes=12, momentum=0.9, **_HEAD),
    ),
    mae=dict(
        _HIDDEN,
        model=dict(_VIT, pooling="mean"),
        method=dict(name="mae", decoder_width=16, decoder_depth=1, decoder_heads=2),
    ),
    simmim=dict(
        _HIDDEN, model=dict(_VIT, pooling="mean", positions="relative"), method=dict(name="simmim", mask_unit=4)
    ),
    mask_feat=dict(
        _HIDDEN, model=dict(_VIT, patch_size=2, pooling="cls"), method=dict(name="mask_feat", cell=2, mask_ratio=0.5)
    ),
    data2vec_vision=dict(
        _HIDDEN,
        model=dict(_VIT, pooling="cls", positions="relative", layer_scale=0.5),
        method=dict(name="data2vec_vision", top=2, min_block=2, momentum=0.99, mask_ratio=0.5),
    ),
    dvae=dict(
        _HIDDEN,
        model=dict(name="visual_tokenizer", vocab_size=12, width=8, blocks=1, factor=2, channels=1),
        method=dict(name="dvae", code_width=8, gumbel_steps=40, kl_weight=0.2, kl_warmup_steps=10),
        optimizer=_FAST,
    ),
    beit=dict(
        _HIDDEN,
        model=dict(_VIT, pooling="cls", positions="relative", layer_scale=0.5),
        method=dict(name="beit", min_block=2),
    ),
    i_jepa=dict(
        _HIDDEN,
        model=dict(_VIT, pooling="mean"),
        method=dict(
            name="i_jepa", least_visible=2, predictor_width=12, predictor_depth=1, predictor_heads=2, momentum=0.9
        ),
    ),
    v_jepa=dict(
        data=dict(modality="image", name="moving_digits", label_key="direction"),
        views=dict(name="mae", flip=0.0, crop_scale=(0.5, 1.0), mean=(0.03,), std=(0.13,)),
        model=dict(_VIT, image_size=24, patch_size=6, frames=8, tubelet_size=4, pooling="mean", positions="sincos3d"),
        method=dict(name="v_jepa", predictor_width=12, predictor_depth=1, predictor_heads=2, momentum=0.9),
        evaluate=dict(batch_size=120, during=("knn_full",), tasks=("knn_1shot", "knn_full"), limit=480),
    ),
    capi=dict(
        _HIDDEN,
        model=dict(_VIT, name="rotary_vit", registers=4),
        # A teacher so slow that clusters stay what they are: with a momentum of 0.9 the loss rises.
        method=dict(
            name="capi",
            clusters=16,
            mask_ratio=0.5,
            predicted_share=0.5,
            predictor_depth=1,
            momentum=0.99,
            momentum_warmup_steps=1,
        ),
        optimizer=dict(_COMMON["optimizer"], apart=("clustering",), apart_rate=0.5, apart_decay=0.001),
    ),
    rotation=dict(_DIGITS, method=dict(name="rotation"), batch_size=16),
    jigsaw=dict(
        _DIGITS, method=dict(name="jigsaw", tiles=4, tile_size=3, orders=8, tile_features=16, hidden=32), batch_size=16
    ),
    relative_position=dict(
        _DIGITS, method=dict(name="relative_position", crop_size=3, gap=1, jitter=0, hidden=32), batch_size=16
    ),
    simcse=dict(
        data=dict(_TEXT, layout="sentences"),
        views=dict(name="tokens"),
        model=dict(_READER, dropout=0.1),
        method=dict(name="simcse"),
        evaluate=dict(
            batch_size=512, during=("neighbouring_sentences",), tasks=("knn_full", "neighbouring_sentences"), limit=1024
        ),
    ),
    clap=dict(
        data=dict(
            modality="audio",
            name="asterisk_sounds",
            seconds=0.4,
            label_key="language",
            text_key="text",
            text_length=8,
            vocab_size=200,
            mock=64,
        ),
        views=dict(name="log_mel", mels=16, frames=40, time_masks=1, time_width=8),
        model=dict(_VIT, image_size=40, image_width=16, patch_size=8, pooling="mean"),
        method=dict(name="clap", text_width=16, text_depth=1, text_heads=2, joint_width=8, temperature=0.1),
        evaluate=dict(batch_size=32, during=("knn_full",), tasks=("knn_full",)),
    ),
    clip=dict(
        _CAPTIONED,
        model=dict(_CAPTIONED_VIT, pooling="cls", pre_norm=True, gelu="quick"),
        method=dict(
            name="clip", text_width=16, text_depth=1, text_heads=2, joint_width=8, temperature=0.1, block_size=8
        ),
    ),
    siglip=dict(
        _CAPTIONED,
        model=dict(_CAPTIONED_VIT, pooling="mean", gelu="tanh"),
        # In tiles: small numbers that are added one by one to a large sum, as without XLA's optimisations, are rounded.
        method=dict(name="siglip", text_width=16, text_depth=1, text_heads=2, block_size=8),
    ),
    wav2vec2=dict(
        _SPEECH,
        method=dict(
            name="wav2vec2",
            negatives=5,
            codes=8,
            code_width=8,
            projection_width=8,
            gumbel_decay=0.97,
            quantizer_dropout=0.0,
            feature_penalty=0.1,
            **_SPANS,
        ),
    ),
    hubert=dict(
        _SPEECH,
        method=dict(name="hubert", clusters=8, projection_width=8, feature_penalty=0.1, **_SPANS),
    ),
    data2vec=dict(
        _SPEECH,
        method=dict(name="data2vec", top=2, momentum=0.9, momentum_end=0.99, momentum_steps=40, **_SPANS),
    ),
    cpc=dict(
        _SPEECH,
        model=dict(
            name="waveform_gru", conv_channels=(8, 8, 12), conv_kernels=(16, 5, 4), conv_strides=(8, 5, 4), width=16
        ),
        method=dict(name="cpc", steps_ahead=3, negatives=6),
    ),
    apc=dict(
        _SPEECH,
        views=_FRAMES,
        model=dict(name="frame_gru", mels=16, width=24, depth=2),
        method=dict(name="apc", shift=2),
    ),
    best_rq=dict(
        _SPEECH,
        views=_FRAMES,
        model=dict(
            name="frame_transformer",
            mels=16,
            channels=4,
            width=16,
            depth=2,
            heads=2,
            mlp_dim=32,
            position_kernel=4,
            position_groups=2,
            dropout=0.0,
            initializer_range=0.1,
        ),
        method=dict(name="best_rq", codes=8, code_dim=4, start_rate=0.2, span=2),
    ),
    word2vec=dict(
        data=dict(
            modality="text",
            name="kjv",
            label_key="book",
            layout="sentences",
            vocabulary="words",
            vocab_size=512,
            sequence_length=32,
        ),
        views=dict(name="skip_gram", window=3, max_pairs=48),
        model=dict(name="word_vectors", vocab_size=512, width=16),
        method=dict(name="word2vec", negatives=3),
        optimizer=dict(name="adamw", learning_rate=1e-2, weight_decay=0.0),
        evaluate=dict(batch_size=512, during=("knn_full",), tasks=("knn_full",), limit=1024),
    ),
    bert=dict(
        data=_TEXT,
        views=dict(name="bert"),
        model=_READER,
        method=dict(name="bert"),
        evaluate=_READ,
    ),
    roberta=dict(
        data=dict(_TEXT, layout="full_sentences"),
        views=dict(name="bert"),
        model=dict(_READER, segments=1),
        method=dict(name="roberta"),
        evaluate=_READ,
    ),
    albert=dict(
        data=dict(_TEXT, second_segment="swapped"),
        views=dict(name="bert", whole_words=True, max_ngram=3),
        model=dict(_READER, embedding_width=16, share_layers=True),
        method=dict(name="albert"),
        evaluate=_READ,
    ),
    electra=dict(
        data=dict(_TEXT, second_segment="none"),
        views=dict(name="bert"),
        model=dict(_READER, width=32, heads=4),
        method=dict(name="electra", generator_fraction=0.5),
        evaluate=_READ,
    ),
    next_token=dict(
        data=dict(_TEXT, layout="stream"),
        views=dict(name="tokens"),
        model=dict(_READER, segments=0, causal=True, norm_first=True),
        method=dict(name="next_token"),
        evaluate=_READ,
    ),
    data2vec_text=dict(
        data=dict(_TEXT, layout="full_sentences"),
        views=dict(name="token_spans"),
        model=dict(_READER, segments=1),
        # So slow that what is to be predicted stays: where the teacher's blocks come to agree, the loss rises.
        method=dict(name="data2vec_text", top=2, momentum=0.999, momentum_end=0.9999, momentum_steps=40),
        optimizer=dict(_COMMON["optimizer"], learning_rate=3e-3),
        evaluate=_READ,
    ),
    t5=dict(
        data=dict(_TEXT, layout="stream", sentinels=4),
        views=dict(name="span_corruption"),
        model=dict(
            name="encoder_decoder", vocab_size=512, width=24, depth=2, heads=3, mlp_dim=48, buckets=8, max_distance=16
        ),
        method=dict(name="t5"),
        evaluate=_READ,
    ),
)
METHODS = tuple(_PARTS)


@functools.cache
def tokenizer_folder() -> str:
    """What BEiT reads of a run of `dvae`: its config, and a checkpoint of its encoder.

    Its weights are random, but for the biases of the logits: of noise, all tokens have the same on average.
    """
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from ssl_jax.models import VisualTokenizer
    from ssl_jax.train.checkpoints import Checkpoints
    from ssl_jax.train.state import TrainState

    folder = pathlib.Path(tempfile.mkdtemp(prefix="ssl_jax_tests_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    node = config("dvae")
    (folder / "config.json").write_text(json.dumps(node))
    sizes = {name: value for name, value in node["model"].items() if name != "name"}
    network, noise = VisualTokenizer(**sizes, rngs=nnx.Rngs(0)), jax.random.uniform(jax.random.key(0), (16, 8, 8, 1))
    network.output.bias[...] -= network.logits(noise).mean((0, 1, 2))
    step, weights = jnp.zeros((), jnp.int32), nnx.State({"backbone": nnx.state(network, nnx.Param)})
    saver = Checkpoints(folder, every=1)
    saver.save(1, TrainState(step, weights, nnx.State({}), (), step), {})
    saver.close()
    return str(folder)


def get_config(variant: str = "simclr") -> ml_collections.ConfigDict:
    """For `launch.py --config=tests/tiny.py:METHOD`."""
    return ml_collections.ConfigDict(config(variant))
