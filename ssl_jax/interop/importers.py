"""The network of a folder that transformers' `save_pretrained` writes: config.json beside model.safetensors."""

import json
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from ssl_jax.errors import UserError, unknown
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
    t5,
    vit,
    wav2vec2,
)
from ssl_jax.interop.files import read
from ssl_jax.models import EncoderDecoder, ResNet, TextTransformer, ViT, WaveformTransformer

Settings = Mapping[str, Any]
# What names of settings hold that change no feature, or that show in the names of the weights.
_NOT_COMPARED = ("drop", "initializer_range", "tie_word", "init_value", "layerscale", "use_mask_token", "mean_pooling")
_TAKEN = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "feat_extract_activation": "gelu",
}  # settings that ours does not have, and what they are then
_FINE_TUNED = re.compile(r"(classifier|qa_outputs|score|projector)\.")  # heads for tasks


class Importer(NamedTuple):
    """How a kind of transformers' models becomes ours.

    Attributes:
      kind: the class of our network.
      settings: our network, their settings -> what those must be.
      load: sets the parameters of our network: network, weights, their settings.
      said: what their settings are where a file leaves them out, as far as no shape of a weight shows it.
    """

    kind: type[nnx.Module]
    settings: Callable[[nnx.Module, Settings], dict[str, Any]]
    load: Callable[[nnx.Module, Mapping, Settings], None]
    said: Settings = {}


def _plain(module: Any, kind: type[nnx.Module]) -> Importer:
    return Importer(
        kind,
        lambda network, theirs: module.settings(network),
        lambda network, weights, theirs: module.from_transformers(network, weights),
    )


def _padded(module: Any) -> Importer:
    """Of the models whose positions depend on the number of the padding token."""
    pad = lambda theirs: {"pad_id": 1 if theirs.get("pad_token_id") is None else theirs["pad_token_id"]}
    return Importer(
        TextTransformer,
        lambda network, theirs: module.settings(network, **pad(theirs)),
        lambda network, weights, theirs: module.from_transformers(network, weights, **pad(theirs)),
    )


def _patches(module: Any, settings: Callable[[ViT], dict[str, Any]] | None = None) -> Importer:
    """Of vision transformers; many of their files say 1e-12 of layer normalisations that were trained with 1e-6."""
    of_network = settings or module.settings

    def needed(network, theirs):
        told = {"layer_norm_eps": 1e-12} if theirs.get("layer_norm_eps") == 1e-12 else {}
        return of_network(network) | told

    return Importer(ViT, needed, lambda network, weights, theirs: module.from_transformers(network, weights))


def _viewer(module: Any, **said: Any) -> Importer:
    """Of towers of pictures, in a file of their own or with that of texts, which is left."""
    load = lambda network, weights, theirs: module.viewer_from_transformers(network, weights)
    said |= {"num_attention_heads": 12}
    return Importer(ViT, lambda network, theirs: clip.viewer_settings(network), load, said)


_CLIP = _viewer(clip, hidden_act="quick_gelu", layer_norm_eps=1e-5)
_SIGLIP = _viewer(siglip, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6)


IMPORTERS: dict[str, Importer] = {
    "albert": _plain(albert, TextTransformer),
    "beit": _patches(beit),
    "bert": _plain(bert, TextTransformer),
    "clip": _CLIP,
    "clip_vision_model": _CLIP,
    "data2vec-audio": _plain(data2vec_audio, WaveformTransformer),
    "data2vec-text": _padded(data2vec_text),
    "data2vec-vision": _patches(beit),
    "dinov2": _patches(dinov2),
    "electra": _plain(electra, TextTransformer),
    "gpt2": _plain(gpt2, TextTransformer),
    "hubert": _plain(hubert, WaveformTransformer),
    "ijepa": _patches(i_jepa),
    "resnet": _plain(resnet, ResNet),
    "roberta": _padded(roberta),
    "siglip": _SIGLIP,
    "siglip_vision_model": _SIGLIP,
    "t5": _plain(t5, EncoderDecoder),
    "vit": _patches(vit),
    "vit_mae": _patches(vit, mae.settings),
    "vit_msn": _patches(vit),
    "wav2vec2": _plain(wav2vec2, WaveformTransformer),
}
"""By `model_type`."""


def load_folder(network: nnx.Module, folder: pathlib.Path) -> None:
    """Sets the parameters of `network`, which may be abstract, from a folder; heads in it are left.

    Raises:
      UserError: there is no such model, it is of a kind that is not known here, its settings are others than those of
        `network`, or its weights do not fit.
    """
    theirs = _settings(folder, "config.json")
    if "method" in theirs:
        export = f"python launch.py export {folder} --to=hf --out=DIR"
        raise UserError(f"{folder} is the folder of a run: write {export}, and take DIR.")
    if theirs.get("model_type") not in IMPORTERS:
        raise unknown(f"model_type in {folder / 'config.json'}", str(theirs.get("model_type")), IMPORTERS)
    importer = IMPORTERS[theirs["model_type"]]
    if not isinstance(network, importer.kind):
        kinds = f"a {importer.kind.__name__}, and config.model.name names a {type(network).__name__}"
        raise UserError(f"The {theirs['model_type']} in {folder} is {kinds}.")
    theirs = {**importer.said, **theirs, **theirs.get("vision_config", {})}
    needed = {**_TAKEN, **importer.settings(network, theirs)}
    other = [f"{name} {theirs[name]!r} is {needed[name]!r} here" for name in _differing(theirs, needed)]
    if other:
        raise UserError(f"config.model is another network than that of {folder}: {'; '.join(other)}.")
    importer.load(network, _weights(folder), theirs)


def front_end(folder: pathlib.Path) -> Settings:
    """What preprocessor_config.json says is done to sound or to pictures; empty without that file."""
    name = "preprocessor_config.json"
    return _settings(folder, name) if (folder / name).exists() else {}


def _weights(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Those of the network, and of heads that were trained with it; without heads for tasks."""
    path = folder / "model.safetensors"
    if not path.exists():
        again = "load the model with transformers and write it with save_pretrained, in one piece"
        raise UserError(f"{path}: no such file. Where the weights come in another form, {again}.")
    return {name: array for name, array in read(path).items() if not _FINE_TUNED.match(name)}


def _differing(theirs: Settings, needed: Settings) -> list[str]:
    """Of the settings that both say, the names of those that are not the same; of the architecture alone."""
    said = (name for name in needed if theirs.get(name) is not None)
    counted = (name for name in said if not any(part in name for part in _NOT_COMPARED))
    return sorted(name for name in counted if theirs[name] != needed[name])


def _settings(folder: pathlib.Path, name: str) -> Settings:
    path = folder / name
    try:
        settings = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file. Name a folder that transformers' save_pretrained wrote.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}). Download it again.") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path} holds no settings. Download it again.")
    return settings
