"""What Hugging Face's `from_pretrained` loads of each method: weights under its names, and its configuration."""

import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from ssl_jax.data.spec import Spec
from ssl_jax.interop import albert, bert, data2vec_audio, data2vec_text, electra, gpt2, hubert, roberta, t5, wav2vec2
from ssl_jax.interop.files import write


class Exported(NamedTuple):
    """One of transformers' models.

    Attributes:
      config: of config.json.
      weights: of model.safetensors.
      front_end: of preprocessor_config.json, what is done to sound before; None for text.
    """

    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    front_end: dict[str, Any] | None = None

    def save(self, folder: pathlib.Path) -> None:
        """Writes the files that `from_pretrained` reads into a folder."""
        write(folder / "model.safetensors", self.weights)
        write_json(folder / "config.json", self.config)
        if self.front_end is not None:
            write_json(folder / "preprocessor_config.json", self.front_end)


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes `content` as transformers does."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def of_bert(method: nnx.Module, spec: Spec) -> Exported:
    """`BertForPreTraining`, or without the second task `BertForMaskedLM`."""
    heads = {"mlm_head": method.mlm_head}
    if method.next_sentence_weight > 0:
        heads |= {"pooler": method.pooler, "next_head": method.next_head}
    architecture = "BertForPreTraining" if "next_head" in heads else "BertForMaskedLM"
    config = bert.settings(method.backbone) | _named(architecture, spec)
    return Exported(config, bert.to_transformers(method.backbone, **heads))


def of_roberta(method: nnx.Module, spec: Spec) -> Exported:
    """`RobertaForMaskedLM`."""
    config = roberta.settings(method.backbone, pad_id=spec.pad_id) | _named("RobertaForMaskedLM", spec)
    weights = roberta.to_transformers(method.backbone, mlm_head=method.mlm_head, pad_id=spec.pad_id)
    return Exported(config, weights)


def of_albert(method: nnx.Module, spec: Spec) -> Exported:
    """`AlbertForPreTraining`."""
    heads = {name: getattr(method, name) for name in ("pooler", "mlm_head", "order_head")}
    config = albert.settings(method.backbone) | _named("AlbertForPreTraining", spec)
    return Exported(config, albert.to_transformers(method.backbone, **heads))


def of_electra(method: nnx.Module, spec: Spec) -> Exported:
    """The discriminator, `ElectraForPreTraining`."""
    config = electra.settings(method.backbone) | _named("ElectraForPreTraining", spec)
    return Exported(config, electra.to_transformers(method.backbone, replaced_head=method.replaced_head))


def of_next_token(method: nnx.Module, spec: Spec) -> Exported:
    """`GPT2LMHeadModel`."""
    config = gpt2.settings(method.backbone) | _named("GPT2LMHeadModel", spec)
    return Exported(config, gpt2.to_transformers(method.backbone))


def of_simcse(method: nnx.Module, spec: Spec) -> Exported:
    """`BertModel`, whose pooler is the layer that sentences were compared behind, as in the official checkpoints.

    With `pooling='mean'` there is none; transformers then starts one at random, unless it is told not to.
    """
    config = bert.settings(method.backbone) | _named("BertModel", spec)
    return Exported(config, bert.to_transformers(method.backbone, pooler=method.head))


def of_t5(method: nnx.Module, spec: Spec) -> Exported:
    """`T5ForConditionalGeneration`."""
    config = t5.settings(method.backbone) | _named("T5ForConditionalGeneration", spec)
    config |= {"decoder_start_token_id": spec.pad_id, "is_encoder_decoder": True}
    return Exported(config, t5.to_transformers(method.backbone))


def of_data2vec_text(method: nnx.Module, spec: Spec) -> Exported:
    """`Data2VecTextModel`."""
    config = data2vec_text.settings(method.backbone, pad_id=spec.pad_id) | _named("Data2VecTextModel", spec)
    return Exported(config, data2vec_text.to_transformers(method.backbone, pad_id=spec.pad_id))


def of_wav2vec2(method: nnx.Module, spec: Spec) -> Exported:
    """`Wav2Vec2ForPreTraining`."""
    del spec
    heads = {name: getattr(method, name) for name in ("quantizer", "project_context", "project_quantized")}
    width = method.project_context.out_features
    config = wav2vec2.pretraining_settings(method.backbone, method.quantizer, width)
    config |= {"architectures": ["Wav2Vec2ForPreTraining"], "num_negatives": method.negatives}
    config |= {"contrastive_logits_temperature": method.temperature, "diversity_loss_weight": method.diversity_weight}
    return Exported(config, wav2vec2.to_transformers(method.backbone, **heads), _front_end(method))


def of_hubert(method: nnx.Module, spec: Spec) -> Exported:
    """`HubertModel`, which has no head for pretraining."""
    del spec
    config = hubert.settings(method.backbone) | {"architectures": ["HubertModel"]}
    return Exported(config, hubert.to_transformers(method.backbone), _front_end(method))


def of_data2vec(method: nnx.Module, spec: Spec) -> Exported:
    """The student, `Data2VecAudioModel`."""
    del spec
    config = data2vec_audio.settings(method.backbone) | {"architectures": ["Data2VecAudioModel"]}
    return Exported(config, data2vec_audio.to_transformers(method.backbone), _front_end(method))


def _front_end(method: nnx.Module) -> dict[str, Any]:
    """What transformers' feature extractor does to sound; the forms with layer normalisation are told of padding."""
    kind = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "padding_side": "right"}
    told = method.backbone.conv_norm == "layer"
    heard = {"sampling_rate": method.view.sample_rate, "do_normalize": method.view.standardized}
    return kind | heard | {"padding_value": 0.0, "return_attention_mask": told}


def _named(architecture: str, spec: Spec) -> dict[str, Any]:
    """The class that reads the weights, and the tokens that a configuration names."""
    tokens = {"pad_token_id": spec.pad_id, "bos_token_id": spec.cls_id, "eos_token_id": spec.sep_id}
    return tokens | {"architectures": [architecture]}


EXPORTERS: dict[str, Callable[[nnx.Module, Spec], Exported]] = {
    "albert": of_albert,
    "bert": of_bert,
    "data2vec": of_data2vec,
    "data2vec_text": of_data2vec_text,
    "electra": of_electra,
    "hubert": of_hubert,
    "next_token": of_next_token,
    "roberta": of_roberta,
    "simcse": of_simcse,
    "t5": of_t5,
    "wav2vec2": of_wav2vec2,
}
"""By method. Each takes the trained method and the description of its data."""
