"""`launch.py export --to=hf`: what is written is loaded by transformers, and computes the same there."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from comparison import relative_error  # noqa: E402

import launch  # noqa: E402
from ssl_jax.train.checkpoints import Checkpoints  # noqa: E402
from tests import tiny  # noqa: E402
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


def states(module, batch):
    attend = batch["tokens"] != module.view.pad_id
    return module.backbone(jnp.asarray(batch["tokens"]), jnp.asarray(batch["segments"]), attend), attend


@pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings
def test_bert(data_dir, tmp_path, capsys):
    built, module, out = exported("bert", data_dir, tmp_path)
    assert {path.name for path in out.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert str(out / "model.safetensors") in capsys.readouterr().out
    batch = built.data.eval.read(np.arange(4))
    ours, attend = states(module, batch)
    model, found = transformers.AutoModel.from_pretrained(out, output_loading_info=True)
    assert not found["missing_keys"] and not found["mismatched_keys"], found
    inputs = {"input_ids": batch["tokens"], "token_type_ids": batch["segments"], "attention_mask": attend}
    inputs = {name: torch.tensor(np.asarray(array, np.int64)) for name, array in inputs.items()}
    theirs = model.eval()(**inputs).last_hidden_state
    assert relative_error(ours[attend], theirs.detach().numpy()[np.asarray(attend)]) < 1e-5

    with_heads = transformers.AutoModelForPreTraining.from_pretrained(out).eval()(**inputs)
    logits = module.mlm_head(ours, module.backbone.token_embedding)
    assert relative_error(logits[attend], with_heads.prediction_logits.detach().numpy()[np.asarray(attend)]) < 1e-5
    order = module.next_head(module.pooler(ours))
    assert relative_error(order, with_heads.seq_relationship_logits) < 1e-5

    spelled = transformers.AutoTokenizer.from_pretrained(out)(TEXT, TEXT)
    spec, pieces = built.data.spec, built.data.tokenizer.encode(TEXT, add_special_tokens=False).ids
    assert spelled["input_ids"] == [spec.cls_id, *pieces, spec.sep_id, *pieces, spec.sep_id]
    assert spelled["token_type_ids"] == [0] * (len(pieces) + 2) + [1] * (len(pieces) + 1)
    assert json.loads((out / "config.json").read_text())["architectures"] == ["BertForPreTraining"]
    _refuses_what_is_there(tmp_path, data_dir, capsys)


def _refuses_what_is_there(tmp_path, data_dir, capsys):
    arguments = ["export", str(tmp_path / "run"), "--to=hf", f"--data_dir={data_dir}"]
    assert launch.main([*arguments, f"--out={tmp_path / 'out'}"]) == 2
    assert "holds something already" in capsys.readouterr().err
