"""What a run has learnt, as a folder that Hugging Face's `from_pretrained` loads."""

import os
import pathlib

from ssl_jax import interop
from ssl_jax.errors import UserError
from ssl_jax.experiment import trained
from ssl_jax.experiment.build import Experiment


def export(workdir: str | os.PathLike, out: str | os.PathLike, *, data_dir: str | None = None) -> list[pathlib.Path]:
    """Writes what transformers loads of the newest checkpoint of a run.

    Args:
      workdir: the run's folder.
      out: a folder, made where missing, with nothing in it.
      data_dir: where TFDS data lies, None for TFDS's own default.

    Returns:
      The files: config.json, model.safetensors and, of texts, tokenizer.json and tokenizer_config.json, of sound and
      pictures preprocessor_config.json.

    Raises:
      UserError: there is no run or no checkpoint, its method or its network has no counterpart there, or `out` holds
        something.
    """
    config, out = trained.config_of(workdir), pathlib.Path(out).expanduser().absolute()
    name = config["method"]["name"]
    if name not in interop.EXPORTERS:
        others = ", ".join(sorted(interop.EXPORTERS))
        raise UserError(f"transformers has no counterpart of what {name} trains. These can be exported: {others}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} holds something already; give --out a new folder.")
    experiment, method, _ = trained.load(workdir, data_dir=data_dir)
    exported = interop.EXPORTERS[name](method, experiment.data.spec)
    out.mkdir(parents=True, exist_ok=True)
    exported.save(out)
    if config["data"]["modality"] == "text" or "text_config" in exported.config:
        _write_tokenizer(experiment, out, segments=exported.config.get("type_vocab_size", 0) > 1)
    return sorted(out.iterdir())


def _write_tokenizer(experiment: Experiment, out: pathlib.Path, *, segments: bool) -> None:
    """The tokenizer as it is, but that it puts the special tokens of a sequence around a text.

    Args:
      experiment: has its data.
      out: where.
      segments: whether the model is told which text of a pair a token is of.
    """
    data, spec = experiment.data, experiment.data.spec
    tokenizer = interop.with_special_tokens(data.tokenizer, spec)
    tokenizer.save(str(out / "tokenizer.json"))
    roles = {role: getattr(spec, f"{role}_id") for role in ("pad", "unk", "cls", "sep", "mask")}
    named = {f"{role}_token": tokenizer.id_to_token(number) for role, number in roles.items() if number is not None}
    inputs = ["input_ids", *(["token_type_ids"] if segments else []), "attention_mask"]
    *_, length = spec.shapes["tokens"]
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": length, "model_input_names": inputs}
    interop.write_json(out / "tokenizer_config.json", kind | named)
