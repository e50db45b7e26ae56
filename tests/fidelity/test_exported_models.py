"""`launch.py export --to=hf`: what is written is loaded by transformers, and computes the same there."""

import json

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import relative_error  # noqa: E402

import launch  # noqa: E402
from ssl_jax import interop  # noqa: E402
from ssl_jax.models import reading  # noqa: E402
from ssl_jax.train.checkpoints import Checkpoints  # noqa: E402
from tests import sounds, tiny  # noqa: E402
from tests.quick import by_method  # noqa: E402
from tests.stepping import Stepper  # noqa: E402

TEXT = "In the beginning God created."
STEPS = 3


def trained(method, data_dir, workdir):
    """What a run of a tiny config leaves in `workdir`; its parts, and the method as it is at its end."""
    config = tiny.config(method, checkpoint=dict(every=1))
    stepper = Stepper(config, jax.devices()[:1], data_dir)
    built = stepper.experiment
    state, *_ = stepper.run(built.initial_state(), 0, STEPS)
    checkpoints = Checkpoints(workdir, every=1)
    checkpoints.save(STEPS, state, {})
    checkpoints.close()
    (workdir / "config.json").write_text(json.dumps(config))
    return built, built.module(state)


def exported(method, data_dir, tmp_path):
    built, module = trained(method, data_dir, tmp_path / "run")
    out = tmp_path / "out"
    assert launch.main(["export", str(tmp_path / "run"), "--to=hf", f"--out={out}", f"--data_dir={data_dir}"]) == 0
    return built, module, out


def inputs_of(batch, spec, *, segments):
    """What a model of transformers is called with."""
    named = {"input_ids": batch["tokens"], "attention_mask": batch["tokens"] != spec.pad_id}
    named |= {"token_type_ids": batch["segments"]} if segments else {}
    return {name: torch.tensor(np.asarray(array, np.int64)) for name, array in named.items()}


HEADS = ("cls.", "lm_head.", "predictions.", "sop_classifier.", "discriminator_predictions.")


def loaded(kind, out):
    """Their model; every weight that it has is in the file, and every weight of the file is its own, or a head's."""
    model, found = kind.from_pretrained(out, output_loading_info=True)
    missing = {name for name in found["missing_keys"] if "pooler" not in name}
    heads = HEADS if kind is transformers.AutoModel else ()
    unexpected = {name for name in found["unexpected_keys"] if not name.startswith(heads)}
    assert not missing and not found["mismatched_keys"] and not unexpected, found
    return model.eval()


def real(array, batch, spec):
    """Without what stands at padding."""
    array = array.detach().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)
    return array[batch["tokens"] != spec.pad_id]


KINDS = {"albert": True, "electra": True, "next_token": False, "roberta": False, "data2vec_text": False, "simcse": True}


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
@pytest.mark.parametrize("method", by_method(KINDS))
def test_states_are_the_same_in_transformers(method, data_dir, tmp_path):
    built, module, out = exported(method, data_dir, tmp_path)
    batch, spec = built.data.eval.read(np.arange(4)), built.data.spec
    ours = reading.read(module.backbone, batch | reading.laid_out(batch, spec.pad_id))
    theirs = loaded(transformers.AutoModel, out)(**inputs_of(batch, spec, segments=KINDS[method])).last_hidden_state
    assert relative_error(real(ours, batch, spec), real(theirs, batch, spec)) < 1e-5


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
def test_simcse_compares_what_a_pooler_of_transformers_gives(data_dir, tmp_path):
    built, module, out = exported("simcse", data_dir, tmp_path)
    batch, spec = built.data.eval.read(np.arange(4)), built.data.spec
    model, found = transformers.BertModel.from_pretrained(out, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"]
    theirs = model.eval()(**inputs_of(batch, spec, segments=True)).pooler_output
    assert relative_error(module.project(batch), theirs) < 1e-5


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
def test_bert(data_dir, tmp_path, capsys):
    built, module, out = exported("bert", data_dir, tmp_path)
    assert {path.name for path in out.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert str(out / "model.safetensors") in capsys.readouterr().out
    batch = built.data.eval.read(np.arange(4))
    spec = built.data.spec
    ours = reading.read(module.backbone, batch | reading.laid_out(batch, spec.pad_id))
    inputs = inputs_of(batch, spec, segments=True)
    theirs = loaded(transformers.AutoModel, out)(**inputs).last_hidden_state
    assert relative_error(real(ours, batch, spec), real(theirs, batch, spec)) < 1e-5

    with_heads = loaded(transformers.AutoModelForPreTraining, out)(**inputs)
    logits = module.mlm_head(ours, module.backbone.token_embedding)
    assert relative_error(real(logits, batch, spec), real(with_heads.prediction_logits, batch, spec)) < 1e-5
    order = module.next_head(module.pooler(ours))
    assert relative_error(order, with_heads.seq_relationship_logits) < 1e-5

    spelled = transformers.AutoTokenizer.from_pretrained(out)(TEXT, TEXT)
    pieces = built.data.tokenizer.encode(TEXT, add_special_tokens=False).ids
    assert spelled["input_ids"] == [spec.cls_id, *pieces, spec.sep_id, *pieces, spec.sep_id]
    assert spelled["token_type_ids"] == [0] * (len(pieces) + 2) + [1] * (len(pieces) + 1)
    assert json.loads((out / "config.json").read_text())["architectures"] == ["BertForPreTraining"]
    _refuses_what_is_there(tmp_path, data_dir, capsys)


def _refuses_what_is_there(tmp_path, data_dir, capsys):
    arguments = ["export", str(tmp_path / "run"), "--to=hf", f"--data_dir={data_dir}"]
    assert launch.main([*arguments, f"--out={tmp_path / 'out'}"]) == 2
    assert "holds something already" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
def test_t5(data_dir, tmp_path):
    built, module, out = exported("t5", data_dir, tmp_path)
    views = module.views(built.data.eval.read(np.arange(4)), jax.random.key(0))
    views = {name: np.asarray(array) for name, array in views.items()}
    named = {"input_ids": views["tokens"], "attention_mask": views["tokens"] != built.data.spec.pad_id}
    named["labels"] = np.where(views["weights"] > 0, views["targets"], -100)
    inputs = {name: torch.tensor(array.astype(np.int64)) for name, array in named.items()}
    theirs = loaded(transformers.AutoModelForSeq2SeqLM, out)(**inputs).logits.detach().numpy()
    counted = views["weights"] > 0
    assert relative_error(np.asarray(module.logits(views))[counted], theirs[counted]) < 1e-5


# Whose networks transformers has; data2vec's tiny one has a single convolution for positions, as wav2vec 2.0.
SPEECH = {
    "wav2vec2": ("Wav2Vec2ForPreTraining", {}),
    "hubert": ("HubertModel", {}),
    "data2vec": ("Data2VecAudioModel", dict(position_depth=2, conv_norm="layer")),
}


@pytest.mark.parametrize("method", SPEECH)
def test_speech_is_heard_alike_in_transformers(method, tmp_path):
    architecture, model = SPEECH[method]
    module = sounds.method(method, model=model)
    interop.EXPORTERS[method](module, sounds.SPEC).save(tmp_path)
    theirs = loaded(getattr(transformers, architecture), tmp_path)
    pcm = np.random.default_rng(0).normal(100, 3000, size=(2, sounds.SAMPLES)).astype(np.int16)
    ours = jax.jit(module.backbone)(**jax.vmap(module.view.evaluate)({"waveform": pcm, "length": np.full(2, 3200)}))
    front_end = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    samples = front_end(list(pcm / 32768), sampling_rate=8000, return_tensors="pt").input_values
    with torch.no_grad():
        found = getattr(theirs, "wav2vec2", theirs)(samples).last_hidden_state
    assert relative_error(ours, found) < 1e-5
