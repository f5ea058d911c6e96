"""Where a training step's time goes, operation by operation, beside what its matrix products need at least.

Usage: python -m tests.benchmarks.profile_steps [--batch-size 64] [--policy float32] [--trainer resident]

The reference network on a processor, with TensorFlow and the trainers fit, resident and ray (a worker's step). A
process of its own runs each, with one operation at a time (TF_NUM_INTEROP_THREADS=1), so that their times add up; an
operation still uses all processors. "Least" is the time that an operation's multiply-adds take at the rate of the best
matrix product.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import keras

    from zoo import ArrayExamples

STEPS = 40
ROWS = 22
TRAINERS = ("fit", "resident", "ray")
_PRODUCTS = {  # operations that multiply matrices or convolve, by what they are of a layer
    "_MklNativeFusedConv2D": "forward",
    "_MklNativeConv2D": "forward",
    "_FusedConv2D": "forward",
    "Conv2D": "forward",
    "_MklNativeConv2DBackpropFilterWithBias": "gradient of the kernel",
    "_MklNativeConv2DBackpropFilter": "gradient of the kernel",
    "Conv2DBackpropFilter": "gradient of the kernel",
    "_MklNativeConv2DBackpropInput": "gradient of the input",
    "Conv2DBackpropInput": "gradient of the input",
    "_MklMatMul": "a product",
    "_MklNativeFusedMatMul": "a product",
    "_FusedMatMul": "a product",
    "MatMul": "a product",
}


def start(trainer: str, batch_size: int, policy: str) -> tuple[Callable[[int], Any], keras.Model]:
    """Return what runs `STEPS` steps of an epoch by its number, and the model."""
    import keras
    import numpy as np
    from zoo_fashion.dataset import FashionMnist
    from zoo_fashion.model import build

    from zoo import ArrayExamples, TrainingConfig

    images, labels = FashionMnist().load(None).train[np.arange(batch_size * STEPS)]
    examples = ArrayExamples(images, labels)
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    model = build((28, 28, 1), 10)
    if trainer == "ray":
        return _start_worker(model, examples, batch_size), model
    from zoo_keras.fit import Fit
    from zoo_keras.resident import Resident

    made = Fit() if trainer == "fit" else Resident()
    training = made.start(model, examples, TrainingConfig(epochs=20, batch_size=batch_size, seed=0))
    return lambda epoch: training.run_epoch(epoch, lambda step, metrics: None), model


def _start_worker(model: keras.Model, examples: ArrayExamples, batch_size: int) -> Callable[[int], Any]:
    import numpy as np
    import tensorflow as tf
    from zoo_ray.job import TrainingJob
    from zoo_ray.steps import SharedSteps
    from zoo_ray.trainer import RayTrainer

    from zoo import TrainingConfig

    config = TrainingConfig(epochs=20, batch_size=batch_size, seed=0)
    job = TrainingJob(trainer=RayTrainer(), config=config, build=lambda: model, folder=".")
    steps = SharedSteps(tf.distribute.get_strategy(), job, examples, 0, 1)

    def epoch(number: int) -> None:
        order = np.random.default_rng(number).permutation(len(examples))
        for batch in order.reshape(-1, batch_size):
            steps.run(batch)

    return epoch


def profile(trainer: str, batch_size: int, policy: str) -> dict[str, Any]:
    """Return milliseconds a step of the whole and of each operation: by layer and type, and how often it ran."""
    from zoo.utils import hardware

    hardware.enable_onednn()
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # no public names read a profile

    from .machine import rates_of_keras

    rates = rates_of_keras()
    if (kind := "bfloat16" if "bfloat16" in policy else "float32") not in rates:
        raise click.BadParameter(f"{kind} is not fast here", param_hint="--policy")
    rate = rates[kind]
    run, model = start(trainer, batch_size, policy)
    for epoch in range(4):
        run(epoch)
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        started = time.perf_counter()
        run(4)
        seconds = time.perf_counter() - started
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for plane in space.planes:
        if plane.name.startswith("/host:CPU"):
            for line in plane.lines:
                for event in line.events:
                    name = plane.event_metadata[event.metadata_id].name
                    if operation := _operation(name, [layer.name for layer in model.layers]):
                        taken[operation].append(event.duration_ps / 1e9)
    least = _least(model, batch_size, rate)
    return {
        "whole": seconds / STEPS * 1e3,
        "rate": rate,
        "operations": [
            {
                "layer": layer,
                "kind": kind,
                "ms": sum(times) / STEPS,
                "count": len(times) / STEPS,
                "least": least[layer] * round(len(times) / STEPS) if kind in _PRODUCTS and layer in least else None,
            }
            for (layer, kind), times in taken.items()
        ],
    }


def _operation(name: str, layers: list[str]) -> tuple[str, str] | None:
    """Return the layer and the type of an operation by its name in a profile; None for what is not one."""
    path, _, kind = name.rpartition(":")
    if not path or ":" in path or not re.fullmatch(r"_?[A-Z]\w+", kind):
        return None
    within = re.split(r"[/ ]", path)
    # a layer that is called again has a number after its name: conv2d_1 may be conv2d's second call
    again = [each for each in layers for part in within if re.fullmatch(rf"{each}_\d+", part)]
    fitting = again or [each for each in layers if each in within]
    is_optimizer = any(name in path.lower() for name in ("adam", "muon"))
    return max(fitting, key=len, default="optimizer" if is_optimizer else "other"), kind


def _least(model: keras.Model, batch_size: int, rate: float) -> dict[str, float]:
    """Return the milliseconds that one pass of each layer's multiply-adds takes at a rate, by the layer's name."""
    from zoo.models.multiply_adds import of_layer

    counts = {layer.name: of_layer(layer) or 0 for layer in model.layers}
    return {name: 2e3 * count * batch_size / rate for name, count in counts.items() if count}


def table(title: str, measured: dict[str, Any]) -> str:
    """Return a Markdown table of the operations that take the most."""
    operations = sorted(measured["operations"], key=lambda each: -each["ms"])
    shown, rest = operations[:ROWS], operations[ROWS:]
    lines = [
        f"{title}: {measured['whole']:.1f} ms a step, matrix products at {measured['rate'] / 1e9:.0f} GFLOP/s",
        "",
        "| layer | operation | ms | least |",
        "|---|---|---|---|",
    ]
    for each in shown:
        least = "" if each["least"] is None else f"{each['least']:.2f}"
        what = f", {_PRODUCTS[each['kind']]}" if each["kind"] in _PRODUCTS else ""
        times = f" ({each['count']:.0f} times)" if round(each["count"]) > 1 else ""
        lines.append(
            f"| {each['layer']} | {each['kind'].removeprefix('_')}{what}{times} | {each['ms']:.2f} | {least} |"
        )
    known = sum(each["ms"] for each in operations)
    needed = sum(each["least"] or 0.0 for each in operations)
    lines.append(f"| {len(rest)} others | | {sum(each['ms'] for each in rest):.2f} | |")
    lines.append(f"| between operations | | {max(0.0, measured['whole'] - known):.2f} | |")
    lines.append(f"| all | | {measured['whole']:.1f} | {needed:.1f} |")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.option("--trainer", "trainers", multiple=True, default=TRAINERS, type=click.Choice(TRAINERS))
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(min=1))
@click.option("--policy", default="float32", show_default=True)
@click.option("--child", is_flag=True, hidden=True)
def main(trainers: tuple[str, ...], batch_size: int, policy: str, child: bool) -> None:
    """Profile each trainer and print a table of it."""
    if child:
        print(json.dumps(profile(trainers[0], batch_size, policy)))
        return
    for trainer in trainers:
        command = [sys.executable, "-m", "tests.benchmarks.profile_steps", "--child", "--trainer", trainer]
        command += ["--batch-size", str(batch_size), "--policy", policy]
        environ = os.environ | {"TF_NUM_INTEROP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environ)
        measured = json.loads(done.stdout.splitlines()[-1])
        click.echo(table(f"Trainer `{trainer}`, {policy}, batches of {batch_size}", measured) + "\n")


if __name__ == "__main__":
    main()
