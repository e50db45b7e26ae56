"""Wrong inputs: the right exit status, one line that says what to write instead, and nothing that was saved is lost."""

import concurrent.futures
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import orbax.checkpoint as ocp
import pytest
from ml_collections import config_dict

import launch
from ssl_jax import config as configs
from ssl_jax import data, experiment
from ssl_jax.errors import RunError, UserError
from ssl_jax.experiment import build, run
from ssl_jax.experiment.resolve import resolved
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.train import runs
from ssl_jax.train.checkpoints import CHECKSUMS, Checkpoints, to_flat
from ssl_jax.train.signals import StopSignal
from ssl_jax.train.step import step_keys
from tests import tiny
from tests.killed import compiling_little

ROOT = pathlib.Path(__file__).resolve().parents[1]
TINY = ROOT / "tests" / "tiny.py"
SHORT = dict(
    steps=6,
    batch_size=16,
    log_every=1,
    schedule=dict(warmup_steps=2),
    checkpoint=dict(every=2, keep=3),
    evaluate=dict(tasks=("knn_full",), diagnostics=False),
)
COMPARING = (  # methods that learn from how the examples of a batch differ
    *("barlow_twins", "byol", "dcl", "dinov2", "lejepa", "moco_v3", "msn", "nnclr", "simclr", "simsiam", "sup_con"),
    *("swav", "vicreg"),
)

pytestmark = pytest.mark.filterwarnings("ignore")  # of Orbax, on reading arrays without their shardings


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Preparing data takes long on a busy machine, and would say so beside the line that these tests are about."""
    monkeypatch.setattr(data.progress, "PATIENCE", 1e9)


def short_config(**leaves) -> dict:
    return tiny.config("simclr", **{**SHORT, **leaves})


def options(config: dict) -> list[str]:
    """The command line that makes tests/tiny.py the given plain config."""
    return [f"--{path}={value!r}" for path, value in configs.flat(config).items()]


def refused(capsys, *arguments: str) -> str:
    """The one line with which a command line is refused, before anything is said or compiled."""
    assert launch.main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("Error: ") and err.endswith("\n") and err.count("\n") == 1, err
    print(err, end="")
    return err


# Config and command line -------------------------------------------------------------------------------------------

WRONG_CONFIGS = [
    # unknown keys, in every part
    ("simclr", "sead=1", "config: 'sead'", "Did you mean 'seed'?", "batch_size"),
    ("simclr", "modl.depth=18", "config: 'modl'", "Did you mean 'model'?"),
    ("simclr", "data.nam=digits", "config.data (ImageData): 'nam'", "Did you mean 'name'?", "eval_split"),
    ("simclr", "views.degres=3", "config.views (AffineView): 'degres'", "Did you mean 'degrees'?"),
    ("simclr", "model.dpeth=18", "config.model (ResNet): 'dpeth'", "Did you mean 'depth'?", "stage_sizes"),
    ("simclr", "model.axis_name=data", "config.model (ResNet): 'axis_name' does not exist"),
    ("simclr", "method.temprature=1", "config.method (SimCLR): 'temprature'", "Did you mean 'temperature'?"),
    ("simclr", "method.name=mae", "config.method (MAE): 'projector_hidden' does not exist", "mask_ratio"),
    ("simclr", "optimizer.lr=1", "config.optimizer (adamw): 'lr'", "learning_rate", "reference_batch_size"),
    ("simclr", "optimizer.weight_dcay=1", "config.optimizer (adamw): 'weight_dcay'", "Did you mean 'weight_decay'?"),
    ("simclr", "schedule.warmup=3", "config.schedule (warmup_cosine): 'warmup'", "Did you mean 'warmup_steps'?"),
    ("simclr", "checkpoint.evry=3", "config.checkpoint (Checkpoints): 'evry'", "Did you mean 'every'?"),
    ("simclr", "evaluate.task=3", "config.evaluate (EvaluationPlan): 'task'", "Did you mean 'tasks'?"),
    # unknown names, in every part
    ("simclr", "data.modality=images", "config.data.modality: 'images'", "Did you mean 'image'?", "text"),
    ("simclr", "data.name=digit", "config.data.name: 'digit'", "Did you mean 'digits'?", "any TFDS name"),
    ("simclr", "data.name=imagenet2021", "config.data.name: 'imagenet2021'", "Did you mean 'imagenet2012'?"),
    ("simclr", "views.name=afine", "config.views.name: 'afine'", "Did you mean 'affine'?", "simclr"),
    ("simclr", "model.name=resnett", "config.model.name: 'resnett'", "Did you mean 'resnet'?", "vit"),
    (
        "simclr",
        "method.name=simclrr",
        "config.method.name: 'simclrr'",
        "Did you mean 'simclr'?",
        "Valid: albert, apc, attentive_probe, ",
    ),
    ("simclr", "optimizer.name=adam", "config.optimizer.name: 'adam'", "Did you mean 'adamw'?", "lars, sgd"),
    ("simclr", "schedule.name=cosine", "config.schedule.name: 'cosine'", "Did you mean 'warmup_cosine'?"),
    ("simclr", "model.stem=big", "config.model.stem", "one of 'imagenet', 'small'"),
    ("mae", "model.dtype=float33", "config.model.dtype 'float33'", "float32, bfloat16"),
    ("simclr", "evaluate.tasks=('knn_ful',)", "config.evaluate.tasks: 'knn_ful'", "Did you mean 'knn_full'?"),
    ("simclr", "evaluate.during=('knn_ful',)", "config.evaluate.during: 'knn_ful'", "Did you mean 'knn_full'?"),
    # wrong types
    ("simclr", "steps=ten", "config.steps is 'ten' (str); it must be an int"),
    ("simclr", "steps=1.5", "config.steps is 1.5 (float); it must be an int"),
    ("simclr", "batch_size=True", "config.batch_size is True (bool); it must be an int"),
    ("simclr", "steps=None", "config.steps is None (NoneType); it must be an int"),
    ("simclr", "optimizer.learning_rate=fast", "config.optimizer.learning_rate is 'fast' (str)", "number"),
    ("simclr", "optimizer.learning_rate=None", "config.optimizer.learning_rate is None", "number"),
    ("simclr", "optimizer.learning_rate=1e999", "config.optimizer.learning_rate is inf", "finite"),
    ("simclr", "model.zero_init_residual=1", "config.model.zero_init_residual is 1 (int)", "True or False"),
    ("simclr", "model.stage_sizes=3", "config.model.stage_sizes is 3 (int)", "tuple of ints or None", "write (3,)"),
    ("simclr", "evaluate.tasks=knn_full", "config.evaluate.tasks is 'knn_full' (str)", "write ('knn_full',)"),
    ("simclr", "views.scale=(1,)", "config.views.scale is (1,)", "a tuple of 2 numbers"),
    ("simclr", "data.name=7", "config.data.name must be the name of a data set. Valid: asterisk_sounds, digits, "),
    ("simclr", "model.name={}", "config.model.name: {} does not exist", "Valid: audio_cnn, "),
    ("simclr", "seed={[]:1}", "config.seed is '{[]:1}' (str); it must be an int"),
    ("simclr", "seed={[]}", "config.seed is '{[]}' (str)"),
    ("simclr", f"seed={'-' * 100_000}1", "config.seed is '-----", "… (str); it must be an int"),
    ("simclr", f"seed={'1+' * 5000}1", "config.seed is '1+1+1", "… (str); it must be an int"),
    ("simclr", f"seed={'(' * 1000}", "config.seed is '(((((", "… (str); it must be an int"),
    ("simclr", f"seed=0x{'f' * 6000}", "config.seed is a number of thousands of digits", "below 2**31"),
    ("simclr", f"optimizer.learning_rate=1{'0' * 400}", "config.optimizer.learning_rate cannot be '1000", "too large"),
    ("simclr", f"optimizer.weight_decay=(1{'0' * 400},)", "config.optimizer.weight_decay is (1000", "finite numbers"),
    ("simclr", f"method.temperature=1{'0' * 400}", "config.method.temperature is 1000", "finite numbers"),
    ("simclr", "expected.x=({'a': 1},)", "config.expected.x is ({'a': 1},) (tuple)", "tuples of these"),
    ("simclr", "expected.x=(1, (2, [1e999]))", "config.expected.x is (1, (2, (inf,)))", "finite numbers"),
    ("simclr", "expected.x={'a.b': 1}", "config.expected.x cannot be", "does not accept dots"),
    ("simclr", "expected.x={1: 2, 'a': 3}", "config.expected.x has a name that is no string"),
    ("simclr", "expected.margins={'linear': 'high'}", "config.expected.margins.linear is 'high' (str)"),
    # parts and leaves
    ("simclr", "model=resnet", "config.model is a part, not a leaf", "base_width, channels"),
    ("simclr", "seed.low=3", "config.seed is a single value and has nothing called 'low' below it"),
    # impossible numbers
    ("simclr", "steps=0", "config.steps is 0; it must be at least 1"),
    ("simclr", "seed=-1", "config.seed is -1; it must be at least 0"),
    ("simclr", "seed=99999999999999999999", "config.seed", "below 2**31"),
    ("simclr", "log_every=0", "config.log_every is 0"),
    ("simclr", "on_collapse=halt", "config.on_collapse is 'halt' (str); it must be one of 'warn', 'stop'"),
    ("simclr", "init_from=3", "config.init_from is 3 (int); it must be a string or None"),
    ("simclr", "init_from=/nowhere", "/nowhere/config.json: no such file", "transformers' save_pretrained"),
    ("apc", "init_from=/nowhere", "/nowhere/config.json: no such file"),
    ("simclr", "on_collapse=stop", "config.on_collapse 'stop' needs diagnoses", "set config.evaluate.every above 0"),
    ("simclr", "optimizer.layer_decay=0.5", "config.optimizer.layer_decay 0.5 needs a backbone of blocks"),
    ("simclr", "optimizer.patch_rate=0.5", "config.optimizer.patch_rate 0.5 needs a backbone.patch_embedding"),
    (
        "simclr",
        "optimizer.apart=('projector',)",
        "config.optimizer.apart ('projector',)",
        "have an effect together only",
    ),
    ("simclr", "optimizer.late=('projector',)", "config.optimizer.late ('projector',) and late_steps 0"),
    ("msn", "views.local_size=3", "config.views.local_size 3 cannot be cut into patches of config.model.patch_size 2"),
    ("ibot", "method.mask_share=1.5", "config.method.mask_share 1.5 is not in 0 < mask_share <= 1"),
    ("simclr", "on_colapse=stop", "config: 'on_colapse'", "Did you mean 'on_collapse'?"),
    ("simclr", "evaluate.collapse_patience=10", "config.evaluate.collapse_patience needs diagnoses during training"),
    ("simclr", "evaluate.collapse_patience=-1", "config.evaluate.collapse_patience -1 must be at least 0 steps"),
    ("simclr", "checkpoint.best=eval/spred", "config.checkpoint.best", "Did you mean 'eval/spread'?"),
    ("byol", "checkpoint.best=eval/projection_spred", "config.checkpoint.best", "'eval/projection_spread'?"),
    ("simclr", "method.temperature=0", "config.method.temperature 0 must be positive"),
    ("simclr", "method.projector_hidden=0", "config.method.projector_hidden 0 is below 1"),
    ("simclr", "optimizer.learning_rate=-1", "config.optimizer.learning_rate -1.0 must be positive"),
    ("simclr", "optimizer.weight_decay=-1", "config.optimizer.weight_decay -1.0 is below 0"),
    ("simclr", "optimizer.b2=1", "config.optimizer.b2 1 is not in 0 <= b2 < 1"),
    ("simclr", "optimizer.clip_norm=0", "config.optimizer.clip_norm 0 must be positive"),
    ("mae", "optimizer.frozen=('backbone.patches',)", "config.optimizer.frozen: 'backbone.patches'", "embedding'?"),
    ("simclr", "optimizer.frozen=('backbone', 'projector')", "config.optimizer.frozen", "leaves nothing to train"),
    ("simclr", "optimizer.learning_rate=1e300", "config.optimizer.learning_rate is 1e+300", "below 3.4e38"),
    ("simclr", "schedule.warmup_steps=50", "config.schedule.warmup_steps 50", "less than the 50 steps"),
    ("simclr", "schedule.end_factor=-1", "config.schedule.end_factor -1 is below 0"),
    ("simclr", "checkpoint.keep=1", "config.checkpoint.keep 1 must be at least 2"),
    ("simclr", "checkpoint.every=0", "config.checkpoint.every 0 must be at least 1"),
    ("simclr", "checkpoint.best=eval/knn_ful", "config.checkpoint.best", "Did you mean 'eval/knn_full'?", "eval/loss"),
    ("simclr", "evaluate.every=-1", "config.evaluate.every -1 must be at least 0"),
    ("simclr", "evaluate.k=0", "config.evaluate.k 0"),
    ("simclr", "model.base_width=0", "config.model.base_width 0 is below 1"),
    ("simclr", "views.noise=-1", "config.views.noise -1"),
    ("simclr", "data.workers=-1", "config.data.workers -1"),
    ("mae", "method.mask_ratio=1.0", "config.method.mask_ratio 1.0 leaves nothing to see or to predict"),
    ("mae", "model.drop_path=1.5", "config.model.drop_path 1.5"),
    ("bert", "views.rate=0", "config.views.rate 0 is not in (0, 1]"),
    ("bert", "views.rate=1.5", "config.views.rate 1.5 is not in (0, 1]"),
    ("bert", "views.max_ngram=0", "config.views.max_ngram 0 is not at least 1"),
    ("simclr", "evaluate.likelihood_limit=9", "config.evaluate.likelihood_limit: simclr does not say how likely"),
    ("bert", "evaluate.likelihood_limit=-1", "config.evaluate.likelihood_limit -1 must be at least 0"),
    ("simclr", "evaluate.map_limit=2", "config.evaluate.map_limit 2 must be at least 3 examples, or 0 for no map"),
    ("roberta", "method.separate_documents=1", "config.method.separate_documents is 1 (int)"),
    ("albert", "data.second_segment=none", "config.method: albert tells the order", "second_segment to 'swapped'"),
    ("albert", "model.segments=1", "config.method: sequences have two segments: set config.model.segments to 2"),
    ("bert", "model.segments=1", "config.method: sequences have two segments: set config.model.segments to 2"),
    *(
        (name, f"views.name={view}", f"config.method: {name} guesses hidden tokens: set config.views.name to 'bert'")
        for name in ("bert", "roberta", "electra")
        for view in ("tokens", "token_spans")
    ),
    ("wav2vec2", "views.name=log_mel_frames", "config.method.name: wav2vec2 learns from 'waveform'", "give 'frames'"),
    *(
        (name, "method.span=500", "config.method.span 500 is more than the", "raise config.data.seconds")
        for name in ("wav2vec2", "data2vec", "hubert", "best_rq")
    ),
    *(
        (name, "model.causal=True", f"config.method: {name} reads what is behind a token too: set config.model.causal")
        for name in ("bert", "roberta", "albert", "electra", "data2vec_text")
    ),
    ("simcse", "model.causal=True", "config.method.pooling 'cls': the first token of a causal network", "take 'mean'"),
    ("apc", "data.seconds=0.02", "config.data.seconds 0.02 is less than 0.025, one frame of a spectrogram"),
    ("hubert", "method.alpha=1.5", "config.method.alpha 1.5 is not in 0 <= alpha <= 1"),
    ("electra", "method.generator_fraction=0.0", "config.method.generator_fraction 0.0 is not above 0"),
    ("next_token", "model.causal=False", "config.method: next_token guesses", "set config.model.causal to True"),
    ("bert", "data.sequence_length=4", "config.data.sequence_length 4 is not at least 8"),
    # sizes that do not go together
    *(
        (name, "batch_size=1", f"config.batch_size is 1; {name} compares the examples of a batch: at least 2.")
        for name in COMPARING
    ),
    ("simclr", "model.accumulate=2", "config.model.accumulate: a resnet normalises by the statistics of the batch"),
    ("mae", "model.accumulate=3", "config.batch_size 32 does not split into 3 parts"),
    ("mae", "model.accumulate=0", "config.model.accumulate 0"),
    ("simclr", "batch_size=30", "config.batch_size 30 does not split over 8 devices; 24 would"),
    ("simclr", "batch_size=2000", "config.batch_size: 2000 is more than the 1437 training examples"),
    ("mae", "model.patch_size=3", "config.model.image_size 8 is not divisible by patch_size 3"),
    ("mae", "model.heads=5", "config.model.width 24 is not divisible by heads 5"),
    ("mae", "model.image_size=16", "config.model.image_size is 16, but config.data and config.views give 8"),
    ("mae", "model.channels=3", "config.model.channels is 3, but config.data and config.views give 1"),
    ("simclr", "model.channels=3", "config.model.channels is 3, but config.data and config.views give 1"),
    ("mae", "method.decoder_heads=5", "config.method.decoder_width 16 is not divisible by decoder_heads 5"),
    ("bert", "model.vocab_size=100", "config.model.vocab_size is 100, but config.data and config.views give 512"),
    ("bert", "model.max_length=16", "config.model.max_length 16 is below config.data.sequence_length 32"),
    ("bert", "data.vocab_size=7", "config.data.vocab_size: 7 does not hold", "use more than"),
    # parts that do not go together
    ("bert", "views.name=simclr", "config.views", "pictures", "config.data.modality"),
    ("simclr", "views.name=bert", "config.views", "tokens", "config.data.modality to 'text'"),
    (
        "bert",
        "method.name=simclr",
        "config.method.name: simclr learns from 'image', and config.data.modality is 'text'",
    ),
    (
        "bert",
        "data.second_segment=none",
        "config.method.next_sentence_weight 1.0 needs pairs",
        "set config.data.second",
    ),
    # data
    (
        "simclr",
        "data.name=imagenet2012",
        "'imagenet2012' is not prepared",
        "run: python launch.py prepare imagenet2012",
    ),
    ("simclr", "data.train_split=trian", "train_split", "'trian'", "Did you mean 'train'?", "Valid: test, train"),
    ("simclr", "data.train_split=train[:", "split 'train[:' is malformed", "'train[:90%]'"),
    ("simclr", "data.eval_split=test[:0]", "split 'test[:0]' of 'digits' has no examples"),
    ("simclr", "data.eval_split=test[:2]", "config.data.eval_split of 'digits' has 2 examples", "at least 3"),
    ("simclr", "data.eval_split=validation", "eval_split", "'validation'", "Valid: test, train"),
    ("simclr", "data.image_key=img", "config.data.image_key", "Did you mean 'image'?", "Valid: image, label"),
    ("simclr", "data.label_key=labels", "config.data.label_key", "Did you mean 'label'?"),
    ("simclr", "data.label_key=image", "config.data.label_key", "no class label", "None"),
    ("dino", "steps=20", "config.method.warmup_teacher_steps is 20", "after 20 steps"),
    ("swav", "method.queue_start=1000000", "config.method.queue_start 1000000 is too late"),
    (
        "swav",
        "method.queue_start=48",
        "config.method.queue_start 48",
        "full from step 50 on, and the run ends after 50",
    ),
    ("swav", "method.queue_size=0", "config.method.queue_start 1 needs a queue: set queue_size above 0"),
    ("swav", "method.prototypes=1", "config.method.prototypes 1 is below 2"),
    ("dino", "method.prototypes=1", "config.method.prototypes 1 is below 2"),
    ("dino", "method.head_hidden=0", "config.method.head_hidden 0 is below 1"),
    ("dino", "method.head_bottleneck=0", "config.method.head_bottleneck 0 is below 1"),
    ("ibot", "method.patch_prototypes=0", "config.method.patch_prototypes 0 is below 2"),
    ("dinov2", "method.patch_prototypes=0", "config.method.patch_prototypes 0 is below 2"),
    ("dinov2", "method.head_bottleneck=0", "config.method.head_bottleneck 0 is below 1"),
    ("swav", "method.queue_size=2000", "config.method.queue_size 2000 is too large", "the run ends after 50 steps"),
    ("dcl", "method.sigma=0", "config.method.sigma 0 must be positive"),
    ("msn", "method.prototypes=1", "config.method.prototypes 1 is below 2"),
    ("vicreg", "method.projector_out=1", "config.method.projector_out 1 is below 2"),
    ("barlow_twins", "method.projector_out=1", "config.method.projector_out 1 is below 2"),
    ("bert", "data.name=digits", "config.data.text_key", "'text'", "Valid: image, label"),
    ("bert", "data.label_key=boook", "config.data.label_key", "Did you mean 'book'?"),
    ("bert", "data.tokenizer=/no/tokenizer.json", "config.data.tokenizer", "there is no file '/no/tokenizer.json'"),
    ("bert", f"data.tokenizer={__file__}", "config.data.tokenizer", "is not a tokenizer.json"),
]


WRONG_TOGETHER = [
    *(
        (name, ("data.layout=pairs", "data.second_segment=random"), f"config.method: {name} has no task for a second")
        for name in ("electra", "next_token", "t5")
    ),
    (
        "simclr",
        ("on_collapse=stop", "evaluate.every=10", "evaluate.diagnostics=False"),
        "config.on_collapse 'stop' needs diagnoses",
        "set config.evaluate.diagnostics to True",
    ),
    (
        "simclr",
        ("on_collapse=stop", "steps=100", "evaluate.every=60", "evaluate.collapse_patience=50"),
        "'stop' can never act",
        "lie 40 steps, and config.evaluate.collapse_patience is 50",
        "Set config.evaluate.collapse_patience to 40 or less, or config.evaluate.every lower",
    ),
    (
        "simclr",
        ("steps=100", "evaluate.every=60", "evaluate.collapse_patience=50"),
        "config.evaluate.collapse_patience can never act",
        "lie 40 steps",
    ),
    (
        "vicreg",
        ("method.invariance_weight=0", "method.variance_weight=0", "method.covariance_weight=0"),
        "config.method: invariance_weight, variance_weight, covariance_weight are all 0",
    ),
    (
        "byol",
        ("views.name=swav", "views.out_size=8", "views.local_size=8", "views.mean=(0.3,)", "views.std=(0.4,)"),
        "config.views.local_crops is 6, but byol takes no small views",
    ),
    (
        "supervised",
        (
            *("views.name=simclr", "views.strength=0.0", "views.jitter=0.0", "views.grayscale=0.0"),
            *("views.blur=0.0", "views.second_blur=0.5"),
        ),
        "supervised takes one view: set second_blur and second_solarize to None",
    ),
]
WRONG = [(method, (leaf,), fragments) for method, leaf, *fragments in WRONG_CONFIGS]
WRONG += [(method, leaves, fragments) for method, leaves, *fragments in WRONG_TOGETHER]


@pytest.mark.parametrize("method, leaves, fragments", WRONG, ids=lambda v: str(v)[:40])
def test_wrong_config(method, leaves, fragments, tmp_path, data_dir, capsys):
    workdir = tmp_path / "run"
    places = [f"--workdir={workdir}", f"--data_dir={data_dir}"]
    line = refused(capsys, f"--config={TINY}:{method}", *(f"--config.{leaf}" for leaf in leaves), *places)
    for fragment in fragments:
        assert fragment in line
    assert not (workdir / "config.json").exists(), "a config that cannot run keeps the folder"


@pytest.mark.parametrize(
    ("method", "other", "fragment"),
    [
        ("mae", "simclr", "config.model must be a vit, not ResNet"),
        ("bert", "simclr", "config.model.name: a ResNet reads image, and config.views give text."),
    ],
)
def test_another_methods_model(method, other, fragment, tmp_path, data_dir, capsys):
    config = tiny.config(method) | {"model": tiny.config(other)["model"]}
    path = tmp_path / "mixed.py"
    path.write_text(f"import ml_collections\ndef get_config():\n    return ml_collections.ConfigDict({config!r})\n")
    line = refused(capsys, f"--config={path}", f"--workdir={tmp_path / 'run'}", f"--data_dir={data_dir}")
    assert fragment in line


WRONG_COMMANDS = [
    (["trian"], "command: 'trian'", "Did you mean 'train'?", "prepare, report, sweep, train"),
    (["report", "--dry_run"], "report takes no --dry_run"),
    (["report", "--workdir=x", "--config=y"], "report takes no --config"),
    (["prepare", "digits", "--workdir=x"], "prepare takes no --workdir"),
    (["diff", "a", "b", "--data_dir=x"], "diff takes no --data_dir"),
    (["--dry_rn"], "option: '--dry_rn'", "Did you mean '--dry_run'?"),
    (["--dry_run", "--config=configs/quickstart.py", "--config.sead=1"], "config: 'sead'", "Did you mean 'seed'?"),
    (["diff"], "python launch.py diff A B"),
    (["diff", "configs/quickstart.py"], "python launch.py diff A B"),
    (["diff", "configs/quickstart.py", "configs/quickstart.py", "--config.seed=1"], "python launch.py diff A B"),
    (["diff", "configs/quickstart.py", "configs/quickstrat.py"], "Did you mean 'configs/quickstart.py'?"),
    (["diff", "tests", "configs/quickstart.py"], "tests holds no run"),
    (["diff", "configs/quickstart.py:fast", "configs/quickstart.py"], "configs/quickstart.py has no variants"),
    (["diff", "configs/none.py", "configs/quickstart.py"], "diff: 'configs/none.py' does not exist. Valid: configs/"),
    (["diff", "quickstrat", "configs/quickstart.py"], "diff: 'quickstrat'", "Did you mean 'configs/quickstart.py'?"),
    (["diff", "no/run", "configs/quickstart.py"], "diff: 'no/run' does not exist. Valid: configs/"),
    (["--config=:"], "--config is empty; write the path of a config file"),
    (["--config=configs"], "--config: configs is a folder; write one of its files: configs/albert_kjv.py"),
    (["configs/quickstart.py"], "a config is named by an option: --config=configs/quickstart.py"),
    (["--dry_run=yes"], "--dry_run: takes no value, but there is 'yes'"),
    (["--workdr=x"], "option: '--workdr'", "Did you mean '--workdir'?"),
    (["--workdir"], "--workdir", "expected one argument"),
    (["--config.steps"], "--config.steps needs a value: --config.steps=VALUE"),
    (["--config.steps", "--workdir=x"], "--config.steps needs a value"),
    (["train", "digits"], "unexpected argument 'digits'"),
    (["prepare"], "python launch.py prepare NAME"),
    (["prepare", "kjv", f"--config={TINY}:bert"], "python launch.py prepare --config=FILE"),
    (["prepare", "kjv", "--workers=2"], "--workers is the number of processes that tokenize"),
    (["prepare", f"--config={TINY}:bert", "--workers=0"], "--workers is the number of processes", "1 or more"),
    (["prepare", f"--config={TINY}:bert", "--config.method.name=bart"], "config.method.name", "'bert'"),
    (["prepare", f"--config={TINY}:simclr", "--config.data.name=digit"], "Did you mean 'digits'?"),
    (["prepare", "digit"], "'digit' does not exist. Did you mean 'digits'?"),
    (["prepare", "digits", "--data_dir=/proc/none"], "/proc/none", "cannot be written", "another --data_dir"),
    (["report"], "python launch.py report DIR"),
    (["export", "runs/x", "--to=hf"], "python launch.py export DIR --to=hf --out=DIR"),
    (["export", "--to=hf", "--out=y"], "python launch.py export DIR --to=hf --out=DIR"),
    (["export", "runs/x", "--to=onnx", "--out=y"], "export --to: 'onnx' does not exist. Valid: hf"),
    (["export", "/no/run", "--to=hf", "--out=y"], "/no/run is no run's folder"),
    (["report", "--out=y"], "report takes no --out"),
    (["evaluate", "runs/x"], "python launch.py evaluate DIR --task=glue/mrpc"),
    (["evaluate", "/no/run", "--task=glue/mrpc"], "/no/run is no run's folder"),
    (["report", "runs/x", "--task.epochs=3"], "report takes no --task.epochs"),
    (["report", "--workdir=/no/run"], "/no/run holds no run"),
    (["--config=README.md"], "--config: README.md is no Python file", "ends in .py"),
    (["--config=tests/__init__"], "--config: 'tests/__init__' does not exist", "Did you mean 'tests/__init__.py'?"),
    (["--config=configs/quickstrat.py"], "--config: 'configs/quickstrat.py'", "Did you mean 'configs/quickstart.py'?"),
    (["--config=configs/quickstart.py:fast"], "configs/quickstart.py has no variants", "without ':fast'"),
    (
        ["--config=configs/byol_imagenet_rn50.py", "--config.batch_size=0"],
        "config.batch_size is 0; it must be at least",
    ),
    (["--config=configs/byol_imagenet_rn50.py", "--config.batch_size=big"], "config.batch_size is 'big' (str)"),
    ([f"--config={TINY}:nope"], "tiny.py:nope failed: KeyError: 'nope'"),
]


@pytest.mark.parametrize("arguments, fragments", [(a, f) for a, *f in WRONG_COMMANDS], ids=lambda v: " ".join(v)[:40])
def test_wrong_command(arguments, fragments, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    line = refused(capsys, *arguments)
    for fragment in fragments:
        assert fragment in line


WRONG_FILES = {
    "syntax": ("def get_config(:\n", "config.py, line 1: invalid syntax"),
    "no function": ("x = 1\n", "config.py has no function get_config()"),
    "raises": ("def get_config():\n    return 1 / 0\n", "get_config() of", "ZeroDivisionError: division by zero"),
    "import": ("import no_such_module\n", "config.py cannot be read: ModuleNotFoundError", "no_such_module"),
    "a dict": ("def get_config():\n    return {}\n", "returned dict, not an ml_collections.ConfigDict"),
    "no part": ("config = tiny.get_config()\ndel config.schedule\n", "config.schedule is missing"),
    "no leaf": ("config = tiny.get_config()\ndel config.batch_size\n", "config.batch_size is missing"),
    "no name": (
        "config = tiny.get_config()\ndel config.method.name\n",
        "config.method.name is missing. Valid: albert, apc, ",
    ),
    "no rate": (
        "config = tiny.get_config()\ndel config.optimizer.learning_rate\n",
        "config.optimizer.learning_rate is mi",
    ),
    "not a part": (
        "config = tiny.get_config()\ndel config.model\nconfig.model = 3\n",
        "config.model is 3; it must be a part",
    ),
    "a function": ("config = tiny.get_config()\nconfig.expected.more = print\n", "config.expected.more is <built-in"),
    "a function in a tuple": (
        "config = tiny.get_config()\nconfig.expected.more = (1, (print,))\n",
        "config.expected.more is (1, (<built-in function print>,)) (tuple); the leaves of a config are",
    ),
    "a dict in a tuple": (
        "config = tiny.get_config()\nconfig.expected.more = ({'a': 1},)\n",
        "config.expected.more is ({'a': 1},) (tuple)",
    ),
    "not finite in a tuple": (
        "config = tiny.get_config()\nconfig.expected.more = (float('nan'),)\n",
        "config.expected.more is (nan,) (tuple)",
    ),
    "an array": (
        "import numpy\nconfig = tiny.get_config()\nconfig.expected.more = numpy.zeros((3, 3))\n",
        "config.expected.more is array([[0., 0., 0.], [0., 0., 0.], [0., 0., 0.]]) (ndarray)",
    ),
    "expected results": (
        "config = tiny.get_config()\ndel config.expected.results\nconfig.expected.results = 3\n",
        "config.expected.results is 3; it must be a part with a number for each measure",
    ),
    "placeholder": (
        "from ml_collections import config_dict\nconfig = tiny.get_config()\ndel config.seed\n"
        "config.seed = config_dict.required_placeholder(int)\n",
        "config.seed has no value yet; write --config.seed=VALUE",
    ),
}


@pytest.mark.parametrize("text, fragments", [(t, f) for t, *f in WRONG_FILES.values()], ids=list(WRONG_FILES))
def test_wrong_config_file(text, fragments, tmp_path, capsys):
    if "config = " in text:
        text = f"from tests import tiny\n{text}def get_config():\n    return config\n"
    path = tmp_path / "config.py"
    path.write_text(text)
    line = refused(capsys, f"--config={path}", f"--workdir={tmp_path / 'run'}")
    for fragment in fragments:
        assert fragment in line


def with_placeholders() -> ml_collections.ConfigDict:
    config = tiny.get_config()
    del config.seed, config.data.name
    config.seed = config_dict.required_placeholder(int)
    config.data.name = config_dict.required_placeholder(str)
    return config


def test_the_advice_on_placeholders_can_be_followed():
    config = with_placeholders()
    for leaf, text in (("data.name", "digits"), ("seed", "3")):
        with pytest.raises(UserError, match=f"config.{leaf} has no value yet; write --config.{leaf}=VALUE"):
            configs.plain(config)
        configs.override(config, leaf, text)
    plain = configs.plain(config)
    assert plain["seed"] == 3 and plain["data"]["name"] == "digits"


def test_a_placeholder_is_no_part():
    with pytest.raises(UserError, match="config.seed is a single value and has nothing called 'low' below it"):
        configs.override(with_placeholders(), "seed.low", "3")


def test_a_leaf_that_cannot_follow_another_can_be_set_by_itself():
    config = tiny.get_config()
    config.evaluate.every = 480 // config.evaluate.get_ref("batch_size")
    configs.override(config, "evaluate.batch_size", "0")
    with pytest.raises(
        UserError, match="config.evaluate.every cannot be computed from the leaf that it follows: integer"
    ):
        configs.plain(config)
    configs.override(config, "evaluate.every", "8")
    assert configs.plain(config)["evaluate"]["every"] == 8


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_config_that_is_no_python_file(suffix, tmp_path, capsys):
    path = tmp_path / f"config{suffix}"
    path.write_text("{}")
    assert f"--config: {path} is no Python file" in refused(capsys, f"--config={path}", f"--workdir={tmp_path}/run")


@pytest.mark.parametrize("spec, workdir", [(f"{TINY}", "runs/tiny"), (f"{TINY}:mae", "runs/tiny_mae")])
def test_default_workdir_names_the_variant(spec, workdir, monkeypatch):
    given = {}
    monkeypatch.setattr(experiment, "run", lambda config, workdir, **_: given.update(workdir=workdir) or 0)
    assert launch.main([f"--config={spec}"]) == 0
    assert given == {"workdir": workdir}


# Signals before training --------------------------------------------------------------------------------------------

TERMINATE = "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n"


def stopped(process: subprocess.CompletedProcess) -> bool:
    line = "Stopped by SIGTERM. Run the same command to go on.\n"
    return (process.returncode, process.stderr) == (75, line)


def python(*arguments: str, **settings) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, **settings)


def test_stop_during_the_imports(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(f"{TERMINATE}from tests.tiny import get_config\n")
    done = python("launch.py", f"--config={path}", f"--workdir={tmp_path / 'run'}")
    assert stopped(done), done
    assert not (tmp_path / "run").exists()


def test_stop_during_prepare():
    code = f"""
import launch
from ssl_jax import data
data.prepare = lambda *_: exec({TERMINATE!r})
raise SystemExit(launch.main(["prepare", "digits"]))
"""
    done = python("-c", code)
    assert stopped(done), done


def test_stop_that_an_import_turned_into_an_error():
    code = f"""
import launch
from ssl_jax import data
from ssl_jax.errors import UserError
def prepare(*_):
    try:
        try:
            exec({TERMINATE!r})
        except BaseException as error:
            raise ImportError("initialization failed") from error
    except ImportError as error:
        raise UserError("a package is missing") from error
data.prepare = prepare
raise SystemExit(launch.main(["prepare", "digits"]))
"""
    done = python("-c", code)
    assert stopped(done), done


def test_stop_while_xla_compiles(tmp_path, data_dir):
    """The compiling thread of XLA outlives the exception, and must not meet the end of the interpreter."""
    command = [sys.executable, "launch.py", *in_workdir(tmp_path / "run", data_dir)]
    env = os.environ | {"XLA_FLAGS": "", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with subprocess.Popen(command, cwd=ROOT, env=env, **pipes) as process:
        assert any(line.startswith("files: ") for line in process.stdout)
        time.sleep(1.2)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert stopped(subprocess.CompletedProcess(command, process.returncode, out, err)), (process.returncode, err)


def test_stop_in_a_callback_is_not_lost():
    code = f"""
import launch, time, weakref
class Thing:
    pass
with launch._stoppable():
    thing = Thing()
    reference = weakref.ref(thing, lambda _: exec({TERMINATE!r}))
    del thing
    time.sleep(30)
"""
    done = python("-c", code, timeout=25)
    assert stopped(done), done


def test_handlers_come_back_after_a_command():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    for arguments in ([f"--config={TINY}:nope"], ["prepare", "digit"]):
        assert launch.main(arguments) == 2
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_run_is_given_the_handlers(monkeypatch):
    given = []
    monkeypatch.setattr(experiment, "run", lambda config, workdir, *, data_dir, stop: given.append(stop) or 0)
    assert launch.main([f"--config={TINY}"]) == 0
    assert isinstance(given[0], StopSignal)


def test_commands_can_be_called_from_a_thread(capsys):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(launch.main, ["prepare", "digit"]).result() == 2
        assert pool.submit(launch.main, [f"--config={TINY}", "--config.seed=x"]).result() == 2
    assert capsys.readouterr().err.count("Error: ") == 2


# Data on disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def digits(data_dir, tmp_path) -> pathlib.Path:
    """A folder with prepared digits, to be damaged."""
    shutil.copytree(data.prepare("digits", data_dir), tmp_path / "data" / "digits" / "1.0.0")
    return tmp_path / "data"


def cut(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scramble(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 512] = bytes(255 - byte for byte in content[middle : middle + 512])
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, scramble, pathlib.Path.unlink])
def test_damaged_records(damage, digits, tmp_path, capsys):
    (records,) = digits.rglob("*train.array_record*")
    damage(records)
    line = refused(capsys, f"--config={TINY}", f"--workdir={tmp_path / 'run'}", f"--data_dir={digits}")
    assert str(records) in line and "truncated or unreadable" in line and "python launch.py prepare digits" in line


def test_prepared_folder_without_its_info(digits, tmp_path, capsys):
    (digits / "digits" / "1.0.0" / "dataset_info.json").unlink()
    line = refused(capsys, f"--config={TINY}", f"--workdir={tmp_path / 'run'}", f"--data_dir={digits}")
    assert "digits/1.0.0 is damaged" in line and "delete it" in line


def test_damaged_cache_is_built_again(digits):
    first = data.ImageData("digits", data_dir=str(digits)).train.read(np.arange(1437))
    cut(next(digits.rglob("ssl_jax_cache/*train*/image.npy")))
    again = data.ImageData("digits", data_dir=str(digits)).train.read(np.arange(1437))
    np.testing.assert_array_equal(first["image"], again["image"])


def test_damaged_picture(digits, tmp_path, capsys, monkeypatch):
    from ssl_jax.data import pictures

    def decode(encoded: bytes, **settings):
        return intact(encoded[:40], **settings)

    intact = pictures.decode
    monkeypatch.setattr(pictures, "decode", decode)
    line = refused(capsys, f"--config={TINY}", f"--workdir={tmp_path / 'run'}", f"--data_dir={digits}")
    assert "Picture 0 of 'digits' (train) cannot be decoded" in line


# Workdir -----------------------------------------------------------------------------------------------------------


def launched(workdir: pathlib.Path, data_dir: str, config: dict, **settings) -> subprocess.CompletedProcess:
    """launch.py in its own process, on one device: what a user sees, compiled in less time."""
    command = [sys.executable, "launch.py", f"--config={TINY}", f"--workdir={workdir}", f"--data_dir={data_dir}"]
    settings["env"] = os.environ | compiling_little(1) | settings.pop("env", {})
    return subprocess.run(command + options(config), cwd=ROOT, capture_output=True, text=True, timeout=600, **settings)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, data_dir) -> pathlib.Path:
    """The workdir of a finished run with checkpoints at steps 2, 4 and 6."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    done = launched(workdir, data_dir, short_config())
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return workdir


@pytest.fixture
def finished(trained, tmp_path) -> pathlib.Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(trained, tmp_path / "run")


@pytest.fixture
def unfinished(finished) -> pathlib.Path:
    """A copy of it as it stood before the last results."""
    (finished / "results.json").unlink()
    return finished


def arrays(workdir: pathlib.Path, step: int) -> dict[str, np.ndarray]:
    restored = ocp.StandardCheckpointer().restore(workdir / "checkpoints" / str(step) / "state")
    return {name: np.asarray(array) for name, array in restored.items() if name != CHECKSUMS}


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def in_workdir(workdir: pathlib.Path, data_dir: str, **leaves) -> list[str]:
    return [f"--config={TINY}", f"--workdir={workdir}", f"--data_dir={data_dir}", *options(short_config(**leaves))]


@pytest.mark.parametrize("where", ["/proc/run", f"{__file__}/run"])
def test_workdir_that_cannot_be_made(where, data_dir, capsys):
    line = refused(capsys, *in_workdir(pathlib.Path(where), data_dir))
    assert f"Cannot write to {where}" in line and "choose another --workdir" in line


def test_workdir_on_a_read_only_file_system(tmpfs, data_dir, capsys):
    folder = tmpfs("ro")
    line = refused(capsys, *in_workdir(folder, data_dir))
    assert f"Cannot write to {folder}" in line and "Read-only" in line


def test_workdir_in_use(finished, data_dir, capsys):
    hold = "import filelock, sys\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True), sys.stdin.read()"
    command = [sys.executable, "-c", hold, finished / ".lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        line = refused(capsys, *in_workdir(finished, data_dir))
        other.stdin.close()
    assert "Another process runs in" in line and "choose another --workdir" in line


def test_workdir_of_another_config(finished, data_dir, capsys):
    before = (finished / "config.json").read_text()
    line = refused(capsys, *in_workdir(finished, data_dir, optimizer=dict(learning_rate=0.5)))
    assert "config.optimizer.learning_rate: 0.001 there, 0.5 here" in line
    assert (finished / "config.json").read_text() == before


def test_workdir_with_other_expectations(unfinished, data_dir, capsys):
    assert launch.main(in_workdir(unfinished, data_dir, expected=dict(results={"knn_full": 0.125}))) == 0
    assert "12.5" in capsys.readouterr().out
    assert json.loads((unfinished / "config.json").read_text())["expected"]["results"] == {"knn_full": 0.125}


@pytest.mark.parametrize("text", ["{", '{"evaluations": 3}', '{"evaluations": [{"step": 2}]}'])
def test_damaged_diagnosis(text, unfinished, data_dir, capsys):
    (unfinished / "diagnosis.json").write_text(text)
    assert launch.main(in_workdir(unfinished, data_dir)) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and str(unfinished / "diagnosis.json") in err and "remove it" in err


@pytest.mark.parametrize("name", ["config.json", "results.json"])
@pytest.mark.parametrize("text", ['{"seed": ', "[1]"])
def test_damaged_json(name, text, finished, data_dir, capsys):
    (finished / name).write_text(text)
    line = refused(capsys, *in_workdir(finished, data_dir))
    assert str(finished / name) in line and "remove it" in line
    assert (finished / name).read_text() == text


def test_damaged_baselines(unfinished, data_dir, capsys):
    (unfinished / "baselines.json").write_text("{")
    before = arrays(unfinished, 6)
    assert launch.main(in_workdir(unfinished, data_dir)) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "baselines.json cannot be read" in err and "remove it" in err
    assert_same(arrays(unfinished, 6), before)


# Checkpoints -------------------------------------------------------------------------------------------------------


def cut_arrays(checkpoint: pathlib.Path) -> None:
    for path in (checkpoint / "state").rglob("d/*"):
        cut(path)


def scramble_arrays(checkpoint: pathlib.Path) -> None:
    for path in (checkpoint / "state").rglob("d/*"):
        scramble(path)


def empty_metadata(checkpoint: pathlib.Path) -> None:
    (checkpoint / "state" / "_METADATA").write_text("")


def remove_manifest(checkpoint: pathlib.Path) -> None:
    (checkpoint / "state" / "manifest.ocdbt").unlink()


def remove_state(checkpoint: pathlib.Path) -> None:
    shutil.rmtree(checkpoint / "state")


@pytest.mark.parametrize("damage", [cut_arrays, scramble_arrays, empty_metadata, remove_manifest, remove_state])
def test_damaged_newest_checkpoint_is_passed_over(damage, unfinished, data_dir, caplog):
    good = arrays(unfinished, 4)
    damage(unfinished / "checkpoints" / "6")
    checkpoints = Checkpoints(unfinished, every=2, keep=3)
    restored = checkpoints.restore(build(short_config(), data_dir=data_dir).initial_state())
    checkpoints.close()
    assert_same({name: np.asarray(leaf) for name, leaf in to_flat(restored).items()}, good)
    assert "The checkpoint of step 6 is damaged" in caplog.text
    assert [path.name for path in (unfinished / "checkpoints_damaged").iterdir()] == ["6_0"]


def test_run_with_damaged_newest_checkpoint_ends_as_if_nothing_had_been(unfinished, trained, data_dir):
    cut_arrays(unfinished / "checkpoints" / "6")
    done = launched(unfinished, data_dir, short_config())
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1 and "The checkpoint of step 6 is damaged" in done.stderr, done.stderr
    assert "Going on from the checkpoint of step 4." in done.stdout
    assert_same(arrays(unfinished, 6), arrays(trained, 6))
    assert json.loads((unfinished / "results.json").read_text()) == json.loads((trained / "results.json").read_text())


def test_all_checkpoints_damaged(unfinished, data_dir):
    for checkpoint in (unfinished / "checkpoints").iterdir():
        cut_arrays(checkpoint)
    for _ in range(2):  # said again, and not begun anew, when the command is repeated
        done = launched(unfinished, data_dir, short_config())
        *warnings, line = done.stderr.splitlines()
        assert done.returncode == 2 and len(warnings) == 3, done.stderr
        assert all(warning.startswith("WARNING: The checkpoint of step") for warning in warnings)
        assert line.startswith("Error: No checkpoint in") and "use a new --workdir" in line
        assert len(list((unfinished / "checkpoints").iterdir())) == 3


def test_checkpoint_of_another_model(unfinished, data_dir, capsys):
    before = arrays(unfinished, 6)
    (unfinished / "config.json").unlink()
    assert launch.main(in_workdir(unfinished, data_dir, model=dict(base_width=16))) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "The checkpoint of step 6" in err and "is of another model" in err
    assert re.search(r"has shape \(.*\), the config wants \(.*16.*\)", err)
    assert_same(arrays(unfinished, 6), before)


# Runs that fail ----------------------------------------------------------------------------------------------------


@pytest.fixture
def begun(unfinished) -> pathlib.Path:
    """A workdir with the baselines measured and no step done, for a config of its own."""
    shutil.rmtree(unfinished / "checkpoints")
    (unfinished / "config.json").unlink()
    return unfinished


def assert_all_finite(workdir: pathlib.Path, steps: list[int]) -> None:
    assert sorted(int(path.name) for path in (workdir / "checkpoints").iterdir()) == steps
    for step in steps:
        for name, array in arrays(workdir, step).items():
            assert np.isfinite(array).all(), (step, name)


def test_learning_rate_that_explodes(begun, data_dir):
    optimizer = dict(name="sgd", learning_rate=1e30)
    done = launched(begun, data_dir, short_config(optimizer=optimizer, checkpoint=dict(every=1, keep=6)))
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    found = re.match(r"Failed: Step (\d) is not finite; the first bad tensor is: \w+", done.stderr)
    assert found and "lower the learning rate" in done.stderr
    assert_all_finite(begun, list(range(1, int(found[1]))))


class Poisoned(SimCLR):
    """SimCLR that sees a NaN in the fifth step."""

    def views(self, batch, key):
        fifth = jax.random.key_data(key) == jax.random.key_data(step_keys(0, 4)[0])
        return {"image": jnp.where(fifth.all(), jnp.nan, super().views(batch, key)["image"])}


def test_nan_names_the_step_and_the_first_bad_tensor(begun, data_dir):
    with pytest.raises(RunError) as caught:
        run(short_config(), begun, data_dir=data_dir, method_table={"simclr": Poisoned})
    assert "Step 5 is not finite; the first bad tensor is: view image." in str(caught.value)
    assert "Checkpoints kept, none of them bad: [2, 4]" in str(caught.value)
    assert_all_finite(begun, [2, 4])


def test_full_disk_while_a_checkpoint_is_written(trained, tmpfs, data_dir):
    folder = tmpfs("size=4m")
    workdir = shutil.copytree(trained, folder / "run")
    (workdir / "results.json").unlink()
    shutil.rmtree(workdir / "checkpoints" / "6")
    room = os.statvfs(folder)
    (folder / "filler").write_bytes(bytes(room.f_bavail * room.f_frsize - 60 * 1024))
    done = launched(workdir, data_dir, short_config())
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert f"Failed: Cannot write a checkpoint to {workdir / 'checkpoints'}: there is no space left" in done.stderr
    assert "Whole ones: steps [2, 4]" in done.stderr
    for step in (2, 4):
        assert_same(arrays(workdir, step), arrays(trained, step))


def test_file_that_may_not_grow_while_a_checkpoint_is_written(unfinished, trained, data_dir):
    shutil.rmtree(unfinished / "checkpoints" / "6")
    done = launched(
        unfinished,
        data_dir,
        short_config(),
        env={"JAX_ENABLE_COMPILATION_CACHE": "false"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("Failed: Cannot write a checkpoint") and "Whole ones: steps [2, 4]" in done.stderr
    assert_same(arrays(unfinished, 4), arrays(trained, 4))


def test_a_sweep_over_runs_of_another_config(tmp_path, capsys):
    folder = tmp_path / "sweep"
    (first, *_) = runs.expand(folder, configs.sweep("configs/quickstart.py"), {})
    first.folder.mkdir(parents=True)
    config = resolved(configs.plain(configs.overridden("configs/quickstart.py", first.overrides)))
    (first.folder / "config.json").write_text(json.dumps(config))
    (first.folder / "results.json").write_text("{}")
    assert launch.main(["sweep", f"--workdir={folder}", "--dry_run"]) == 0
    (first.folder / "config.json").write_text(json.dumps(config | {"steps": 7}))
    assert launch.main(["sweep", f"--workdir={folder}", "--dry_run"]) == 2
    assert "holds a run of another config (config.steps: 7 there, 600 here)" in capsys.readouterr().err
