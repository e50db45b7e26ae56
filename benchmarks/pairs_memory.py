"""The memory that a training step of CLIP or SigLIP takes with a large batch, the loss in blocks or all pairs at once.

    python benchmarks/pairs_memory.py [--batch=16384] [--devices=8] [--steps=3] [--methods clip siglip]

Towers of three layers, 64 wide; pictures of 16 x 16 pixels in patches of 4, texts of 16 tokens, made up; views that
crop and flip; AdamW. Towers keep each block's input alone and are run in parts (`remat`, `accumulate`). Each line
is a process of its own: the most memory that it ever had (`ru_maxrss`, with Python, JAX and the compiler), of that what
came after the first step of a batch of 64, and the seconds of the last step.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

BLOCK, PARTS, SMALL = 512, 64, 64
CELLS = ("method", "form", "GB at most", "of that, of the batch", "first loss", "last loss", "seconds a step")


def config_of(method: str, batch: int, block_size: int | None) -> dict:
    """The plain config."""
    form = dict(clip=dict(pooling="cls", pre_norm=True, gelu="quick"), siglip=dict(pooling="mean", gelu="tanh"))
    space = dict(clip=dict(joint_width=64), siglip={})  # SigLIP's is as wide as its towers
    parts = PARTS if batch % PARTS == 0 and batch > SMALL else 1
    return dict(
        seed=0,
        steps=100,
        batch_size=batch,
        data=dict(
            modality="image", name="openmoji", image_size=16, mock=SMALL, text_keys=("caption_en",), text_length=16,
            vocab_size=2000
        ),
        views=dict(name="mae"),
        model=dict(
            name="vit", size="Ti", image_size=16, patch_size=4, width=64, depth=3, heads=2, mlp_dim=256,
            positions="learned", remat=True, accumulate=parts, **form[method],
        ),
        method=dict(name=method, text_width=64, text_depth=3, text_heads=2, block_size=block_size, **space[method]),
        optimizer=dict(name="adamw", learning_rate=1e-3, weight_decay=0.1),
        schedule=dict(name="warmup_cosine", warmup_steps=5),
        checkpoint=dict(every=100),
        evaluate=dict(tasks=("knn_full",)),
        expected=dict(results={}),
    )  # fmt: skip


def one(method: str, batch: int, block_size: int | None, steps: int) -> dict:
    """What a line says, of this process."""
    from ssl_jax.train.memory import keep_freed

    keep_freed()  # as launch.py does
    before, _, _ = train(method, SMALL, block_size, 1)
    most, losses, seconds = train(method, batch, block_size, steps)
    return {"most": most, "beyond": most - before, "losses": losses, "seconds": seconds}


def train(method: str, batch: int, block_size: int | None, steps: int) -> tuple[int, list[float], float]:
    """Bytes at most until now, the loss of each step, and the seconds of the last."""
    import jax
    import numpy as np

    from ssl_jax.experiment import build
    from ssl_jax.train import mesh as meshes
    from ssl_jax.train.loop import jit_train_step

    experiment = build(config_of(method, batch, block_size), whole_batches=False)
    step, state = jit_train_step(experiment.recipe, experiment.abstract_state()), experiment.initial_state()
    random, spec, losses = np.random.default_rng(0), experiment.data.spec, []
    for _ in range(steps):
        tokens = random.integers(5, spec.vocab_size, (batch, *spec.shapes["tokens"]), np.int32)
        tokens[..., 0], tokens[..., -1] = spec.cls_id, spec.sep_id
        images = random.integers(0, 256, (batch, *spec.shapes["image"]), np.uint8)
        given = {"image": images, "label": np.zeros(batch, np.int32), "tokens": tokens}
        given |= {"size": np.full((batch, 2), 16, np.int32)} if "size" in spec.shapes else {}
        begun = time.perf_counter()
        state, metrics = step(state, meshes.put_rows(given, experiment.recipe.mesh))
        losses.append(float(jax.block_until_ready(metrics["loss"])))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, losses, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16384)
    parser.add_argument("--devices", type=int, default=8, help="that the processors pretend to be")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=["clip", "siglip"], choices=["clip", "siglip"])
    parser.add_argument("--form", nargs="+", default=["blocks", "all pairs"], choices=["blocks", "all pairs"])
    parser.add_argument("--here", action="store_true", help="one line, in this process, as JSON")
    options = parser.parse_args()
    if options.here:
        block_size = BLOCK if options.form == ["blocks"] else None
        print(json.dumps(one(options.methods[0], options.batch, block_size, options.steps)))
        return
    print(f"Batch {options.batch:,}, {options.devices} devices\n\n| {' | '.join(CELLS)} |\n{'|---' * len(CELLS)}|")
    flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={options.devices}", "JAX_PLATFORMS": "cpu"}
    for method in options.methods:
        for form in options.form:
            command = [sys.executable, __file__, "--here", f"--methods={method}", f"--form={form}"]
            command += [f"--batch={options.batch}", f"--steps={options.steps}"]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | flags)
            if done.returncode:
                print(f"| {method} | {form} | ended by signal or error {done.returncode} |", flush=True)
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            sizes = [f"{found[name] / 1e9:.2f}" for name in ("most", "beyond")]
            losses = [f"{found['losses'][place]:.4f}" for place in (0, -1)]
            seconds = f"{found['seconds']:.0f}"
            print(f"| {' | '.join((method, form, *sizes, *losses, seconds))} |", flush=True)


if __name__ == "__main__":
    main()
