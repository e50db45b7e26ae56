"""What Hugging Face's `from_pretrained` loads of each method: weights under its names, and its configuration."""

import json
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from ssl_jax.data.spec import Spec
from ssl_jax.errors import UserError
from ssl_jax.interop import (
    albert,
    beit,
    bert,
    clip,
    data2vec_audio,
    data2vec_text,
    dinov2,
    electra,
    gpt2,
    hubert,
    i_jepa,
    mae,
    resnet,
    roberta,
    siglip,
    simmim,
    t5,
    vit,
    wav2vec2,
)
from ssl_jax.interop.files import write
from ssl_jax.models import ResNet, ViT


class Exported(NamedTuple):
    """One of transformers' models.

    Attributes:
      config: of config.json.
      weights: of model.safetensors.
      front_end: of preprocessor_config.json, what is done to sound or pictures before; None for text.
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


def of_pictures(method: nnx.Module, spec: Spec) -> Exported:
    """The network that a method of pictures is evaluated by: `_network` says which."""
    del spec
    return _network(getattr(method, getattr(method, "evaluated", "backbone")), method.view)


def of_simclr(method: nnx.Module, spec: Spec) -> Exported:
    """The backbone, where features are its own.

    Raises:
      UserError: they pass through layers of the projector.
    """
    if method.embed_layers:
        behind = f"config.method.embed_layers is {method.embed_layers}, and features come from within the projector"
        raise UserError(f"transformers has no such network: {behind}.")
    return of_pictures(method, spec)


def of_msn(method: nnx.Module, spec: Spec) -> Exported:
    """`ViTMSNModel`, where that is what the network is."""
    exported = of_pictures(method, spec)
    if exported.config["model_type"] != "vit":
        return exported
    return exported._replace(config=exported.config | _class("vit_msn", "ViTMSNModel"))


def of_mae(method: nnx.Module, spec: Spec) -> Exported:
    """`ViTMAEForPreTraining`, or the encoder alone where there is no class token, which that has."""
    network, decoder = method.backbone, method.decoder
    if network.class_token is None or network.layer_scale is not None:
        return of_pictures(method, spec)
    config = mae.pretraining_settings(network, decoder) | {"architectures": ["ViTMAEForPreTraining"]}
    config |= {"mask_ratio": method.mask_ratio, "norm_pix_loss": method.normalize_targets}
    return Exported(config, mae.to_transformers(network, decoder), image_processor(method.view))


def of_simmim(method: nnx.Module, spec: Spec) -> Exported:
    """`ViTForMaskedImageModeling`, which has a class token and positions that are added; else the encoder alone."""
    network = method.backbone
    if network.class_token is None or network.relative is not None or network.layer_scale is not None:
        return _network(network, method.view, method.mask_token)
    heads = dict(mask_token=method.mask_token, prediction=method.prediction)
    config = simmim.settings(network) | {"architectures": ["ViTForMaskedImageModeling"]}
    return Exported(config, simmim.to_transformers(network, **heads), image_processor(method.view))


def of_data2vec_vision(method: nnx.Module, spec: Spec) -> Exported:
    """The student, `Data2VecVisionModel` where its positions are relative, as in the paper."""
    del spec
    exported = _network(method.backbone, method.view, method.mask_token)
    if exported.config["model_type"] != "beit":
        return exported
    return exported._replace(config=exported.config | _class("data2vec-vision", "Data2VecVisionModel"))


def of_beit(method: nnx.Module, spec: Spec) -> Exported:
    """`BeitForMaskedImageModeling`, or the encoder alone where its positions are others than that has."""
    network = method.backbone
    if network.relative is None or network.class_token is None:
        return of_pictures(method, spec)
    config = beit.settings(network) | _class("beit", "BeitForMaskedImageModeling")
    # Its network has no last normalisation of its own then, and there is one alone.
    config |= {"use_mask_token": True, "use_mean_pooling": True, "vocab_size": method.prediction.out_features}
    heads = dict(mask_token=method.mask_token, prediction=method.prediction)
    return Exported(config, beit.to_transformers(network, **heads), image_processor(method.view))


def of_clip(method: nnx.Module, spec: Spec) -> Exported:
    """`CLIPModel`."""
    return _pair(clip, method, spec, "clip", "CLIPModel")


def of_siglip(method: nnx.Module, spec: Spec) -> Exported:
    """`SiglipModel`, whose tokenizer has to fill up texts to their whole length, as the learner's does."""
    return _pair(siglip, method, spec, "siglip", "SiglipModel")


def _pair(module: Any, method: nnx.Module, spec: Spec, model_type: str, architecture: str) -> Exported:
    config = module.settings(method) | _class(model_type, architecture)
    config["text_config"] |= _tokens(spec)
    return Exported(config, module.to_transformers(method), image_processor(method.view))


def _network(network: nnx.Module, view: Any, mask_token: nnx.Param | None = None) -> Exported:
    """The model of transformers that a network of pictures is.

    `ResNetModel`; of ViTs, `BeitModel` with relative positions, `Dinov2Model` with scaled branches, `IJepaModel`
    without a class token, else `ViTModel`, whose pooler transformers then starts at random.

    Args:
      network: a ResNet or a ViT.
      view: its pictures'.
      mask_token: what a `BeitModel` shows in place of hidden patches; others have none.

    Raises:
      UserError: it is none of these, or reads no pictures.
    """
    processor = image_processor(view)
    model_type, architecture, module = _kind(network)
    config = module.settings(network) | _class(model_type, architecture)
    if module is beit:
        config |= {"use_mask_token": mask_token is not None}
        return Exported(config, beit.to_transformers(network, mask_token=mask_token), processor)
    return Exported(config, module.to_transformers(network), processor)


def _kind(network: nnx.Module) -> tuple[str, str, Any]:
    """The `model_type`, the class and the table."""
    if isinstance(network, ResNet):
        return "resnet", "ResNetModel", resnet
    if not isinstance(network, ViT):
        raise UserError(f"transformers has no {type(network).__name__}: config.model.name can be 'vit' or 'resnet'.")
    if network.relative is not None:
        return "beit", "BeitModel", beit
    if network.layer_scale is not None:
        return "dinov2", "Dinov2Model", dinov2
    if network.class_token is None:
        return "ijepa", "IJepaModel", i_jepa
    return "vit", "ViTModel", vit


def image_processor(view: Any) -> dict[str, Any]:
    """What transformers' image processor does to pictures to get what `view.evaluate` gives.

    Theirs rounds to whole grey levels where it resizes, and resizes before it crops, with what lies outside of the crop
    at its edges: ours are the same where nothing is resized, and else as near as that.

    Raises:
      UserError: the view is of no pictures.
    """
    shown = getattr(view, "evaluation", None)
    if shown is None:
        raise UserError("transformers' image processors know no spectrograms: export a method whose data are pictures.")
    side, channels = view.shape[0], view.shape[-1]
    square = {"height": side, "width": side}
    return {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": channels == 3,
        "do_resize": True,
        "size": square if shown.crop is None else {"shortest_edge": round(side / shown.crop)},
        "resample": _RESAMPLE[shown.interpolation],
        "do_center_crop": shown.crop is not None,
        "crop_size": square,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(shown.mean),
        "image_std": list(shown.std),
    }


_RESAMPLE = {"bilinear": 2, "bicubic": 3}  # PIL's numbers


def _class(model_type: str, architecture: str) -> dict[str, Any]:
    return {"model_type": model_type, "architectures": [architecture]}


def _named(architecture: str, spec: Spec) -> dict[str, Any]:
    """The class that reads the weights, and the tokens that a configuration names."""
    return _tokens(spec) | {"architectures": [architecture]}


def _tokens(spec: Spec) -> dict[str, Any]:
    return {"pad_token_id": spec.pad_id, "bos_token_id": spec.cls_id, "eos_token_id": spec.sep_id}


EXPORTERS: dict[str, Callable[[nnx.Module, Spec], Exported]] = {
    "albert": of_albert,
    "attentive_probe": of_pictures,
    "barlow_twins": of_pictures,
    "beit": of_beit,
    "bert": of_bert,
    "byol": of_pictures,
    "clip": of_clip,
    "data2vec": of_data2vec,
    "data2vec_text": of_data2vec_text,
    "data2vec_vision": of_data2vec_vision,
    "dcl": of_pictures,
    "dino": of_pictures,
    "dinov2": of_pictures,
    "electra": of_electra,
    "hubert": of_hubert,
    "i_jepa": of_pictures,
    "ibot": of_pictures,
    "jigsaw": of_pictures,
    "lejepa": of_pictures,
    "mae": of_mae,
    "mask_feat": of_pictures,
    "moco_v2": of_pictures,
    "moco_v3": of_pictures,
    "msn": of_msn,
    "next_token": of_next_token,
    "nnclr": of_pictures,
    "relative_position": of_pictures,
    "roberta": of_roberta,
    "rotation": of_pictures,
    "siglip": of_siglip,
    "simclr": of_simclr,
    "simcse": of_simcse,
    "simmim": of_simmim,
    "simsiam": of_pictures,
    "sup_con": of_pictures,
    "supervised": of_pictures,
    "swav": of_pictures,
    "t5": of_t5,
    "vicreg": of_pictures,
    "wav2vec2": of_wav2vec2,
}
"""By method. Each takes the trained method and the description of its data."""
