"""The checks: ours pass them all, and each finds the fault that it is there to find."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import Dataset, Entry, Registry
from zoo.errors import CheckFailedError, UnknownNameError
from zoo.registry.kinds import KINDS
from zoo.testing import Check, Result, check_plugin, checks_of, parametrize_checks


@parametrize_checks("fashion", registry=zoo.load_registry({"ZOO_PLUGINS": ""}))
def test_default_plugin(check: Check) -> None:
    check()


def marks_of(check: Check) -> list[pytest.MarkDecorator]:
    """Return the mark of a check that trains twice, except for those that stand for all by default."""
    is_training = check.name.endswith((": seed determines the result", ": trains, and the same again"))
    stands_for_others = check.name.startswith(("augmentation shift:", "optimizer sgd:", "trainer fit:"))
    return [pytest.mark.slow] if is_training and not stands_for_others else []


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=check.name, marks=marks_of(check))
        for check in checks_of("keras", registry=zoo.load_registry({"ZOO_PLUGINS": ""}))
    ],
)
def test_trainers_and_how_models_learn(check: Check) -> None:
    check()


@parametrize_checks("metrics", registry=zoo.load_registry({"ZOO_PLUGINS": ""}))
def test_metrics(check: Check) -> None:
    check()


HEAD = """
from zoo import Entry, hookimpl
@hookimpl
def register_{plural}():
    return [Entry(name="it", target="{module}:it", summary="It.")]
"""

MODEL = """
def it(input_shape, num_classes{options}):
    import keras
    from keras import layers
    import numpy as np
    return keras.Sequential([keras.Input(input_shape), {layers}])
"""
SOUND = 'layers.Flatten(), layers.Dense(num_classes, activation="softmax")'

DATASET = """
from zoo import Dataset
class It(Dataset):
    def load(self, data_dir):
        import numpy as np
        from zoo import ArrayExamples, Split
        images, labels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8), np.arange(40) % 2
        train = test = ArrayExamples(images, labels)
        names = ("a", "b")
        {change}
        return Split(train=train, test=test, class_names=names)
it = It
"""

TRAINER = """
import dataclasses
from zoo import Trainer

@dataclasses.dataclass(frozen=True, kw_only=True)
class it(Trainer):
    def start(self, model, train, settings):
        from zoo_keras.fit import Fit
        started = Fit().start(model, train, settings)
        {change}
        return started

    def predict(self, model, images):
        import numpy as np
        from zoo.data import scale_pixels
        return np.asarray(model.predict_on_batch(scale_pixels(images))){predicted}
"""


def model(layers: str = SOUND, options: str = "") -> tuple[str, str]:
    return "model", MODEL.format(layers=layers, options=options)


def dataset(change: str) -> tuple[str, str]:
    return "dataset", DATASET.format(change=change)


def trainer(change: str = "pass", predicted: str = "") -> tuple[str, str]:
    return "trainer", TRAINER.format(change=change, predicted=predicted)


def optimizer(made: str, rate: str = "0.1") -> tuple[str, str]:
    code = f"def it(learning_rate={rate}):\n    import keras, numpy as np\n    return keras.optimizers.SGD({made})"
    return "optimizer", code


def schedule(rate: str) -> tuple[str, str]:
    return "schedule", f"def it(rate, epochs, steps):\n    from keras import ops\n    return {rate}"


def augmentation(changed: str, more: str = "") -> tuple[str, str]:
    return (
        "augmentation",
        f"""
def it(image_shape):
    import keras, numpy as np
    class Layer(keras.layers.Layer):
        def call(self, images, training=None):
            return {changed}
        {more}
    return Layer()
""",
    )


# what is made, which check finds its fault, and a fact that the message tells where its other words are not ours
FAULTS: dict[str, tuple[tuple[str, str], str, str | None]] = {
    "heavy": (("model", "import numpy" + MODEL.format(layers=SOUND, options="")), "imports no heavy package", None),
    "target": (("model", "it = 7"), "builds for any image size", None),
    "type": (model(options=", *, width: 'itn' = 3"), "settings have types", None),
    "default": (model(options=", *, width: int = 'wide'"), "settings have types", None),
    "no default": (model(options=", *, width: int"), "settings have types", None),
    "size": (model("layers.Reshape((784, 1)), " + SOUND), "builds for any image size", "(32, 32, 3)"),
    "softmax": (model("layers.Flatten(), layers.Dense(num_classes)"), "builds for any image size", None),
    "NaN": (
        model("layers.Flatten(), layers.Dense(num_classes), layers.Rescaling(float('nan'))"),
        "builds for any image size",
        None,
    ),
    "unseeded": (
        model(
            "layers.Flatten(), layers.Dense(num_classes, 'softmax', "
            "bias_initializer=keras.initializers.Constant(np.random.default_rng().random()))"
        ),
        "same seed gives the same initial weights",
        None,
    ),
    "no gradient": (
        model(
            "layers.Flatten(), layers.Dense(num_classes), "
            "layers.Lambda(lambda x: keras.ops.softmax(keras.ops.stop_gradient(x)), output_shape=(num_classes,))"
        ),
        "learns",
        "No gradients provided for any variable",
    ),
    "hidden state": (
        model(
            "layers.Flatten(), layers.Rescaling(float(np.random.default_rng().random())), "
            "layers.Dense(num_classes, 'softmax')"
        ),
        "predicts bit-identically after loading in a new process",
        None,
    ),
    "seeded hidden state": (
        model(
            "layers.Flatten(), layers.Rescaling(float(np.random.rand())), layers.Dense(num_classes, 'softmax')"
        ),
        "predicts bit-identically after loading in a new process",
        None,
    ),
    "exits": (("model", "def it(input_shape, num_classes):\n    raise SystemExit(0)"), "builds for any", None),
    "scaled images": (dataset("train = test = ArrayExamples(images // 255, labels)"), "loads valid", None),
    "float images": (dataset("train = type('E', (), {'__len__': lambda s: 9, '__getitem__': lambda s, i: "
                             "(images[i] / 255, labels[i])})()"), "loads valid", None),
    "labels": (dataset("train = ArrayExamples(images, labels + 1)"), "loads valid", None),
    "labels far behind": (
        dataset("train = ArrayExamples(np.repeat(images, 500, 0), np.repeat([0, 1, 2], [9000, 9000, 2000]))"),
        "loads valid",
        None,
    ),
    "one class": (dataset("names = ('a',)"), "loads valid", None),
    "names twice": (dataset("names = ('a', 'a')"), "loads valid", None),
    "sizes": (dataset("test = ArrayExamples(images[:, :4], labels)"), "loads valid", None),
    "empty": (dataset("test = ArrayExamples(images[:0], labels[:0])"), "loads valid", None),
    "order": (dataset("train = type('E', (), {'__len__': lambda s: 9, '__getitem__': lambda s, i: "
                      "(images[np.sort(i)], labels[np.sort(i)])})()"), "loads valid", None),
    "other twice": (
        dataset("train = ArrayExamples(images, np.random.default_rng().integers(0, 2, 40))"),
        "loads the same data each time",
        None,
    ),
    "does not say what it needs": (
        ("dataset", DATASET.format(change="pass") + "It.needs_data_dir = property(lambda self: 1 / 0)\n"),
        "loads valid",
        None,
    ),
    "says it oddly": (
        ("dataset", DATASET.format(change="pass") + "It.needs_data_dir = 'yes'\n"),
        "loads valid",
        None,
    ),
    "no base class": (
        ("dataset", DATASET.format(change="pass").replace("It(Dataset)", "It")),
        "loads valid",
        "it must return a zoo.Dataset",
    ),
    "channels first": (
        ("dataset", DATASET.format(change="pass").replace("(40, 8, 8, 1)", "(40, 1, 16, 16)")),
        "loads valid",
        None,
    ),
    "ignores the seed": (
        trainer("started = Fit().start(model, train, dataclasses.replace(settings, seed=0))"),
        "seed determines the result",
        None,
    ),
    "unseeded order": (
        trainer(
            "import numpy\n        seed = int(numpy.random.default_rng().integers(1000))\n"
            "        started = Fit().start(model, train, dataclasses.replace(settings, seed=seed))"
        ),
        "seed determines the result",
        None,
    ),
    "no training": (
        trainer("from zoo import Metrics; started.run_epoch = lambda e, s: Metrics(loss=1.0, accuracy=0.5)"),
        "trains the requested epochs",
        None,
    ),
    "percent": (
        trainer(
            "from zoo import Metrics; epoch = started.run_epoch\n        "
            "started.run_epoch = lambda e, s: Metrics(loss=epoch(e, s).loss, accuracy=50.0)"
        ),
        "trains the requested epochs",
        "accuracy=50.0",
    ),
    "forgetful": (
        trainer(
            "state = started.state; started.state = lambda: {k: v for k, v in state().items() if 'model' in k}\n"
            "        started.restore = lambda s: [v.assign(s[f'model.{i:03d}']) for i, v in enumerate(model.weights)]"
        ),
        "resumes bit-identically after an epoch",
        None,
    ),
    "no copy": (
        trainer(
            "held, epoch = started.state(), started.run_epoch; started.state = lambda: held\n"
            "        started.run_epoch = lambda e, s: [a.fill(e) for a in held.values()] and epoch(e, s)"
        ),
        "resumes bit-identically after an epoch",
        None,
    ),
    "other state": (
        trainer(
            "state = started.state; epoch = started.run_epoch; more = {}\n"
            "        started.state = lambda: {**state(), **more}\n"
            "        started.run_epoch = lambda e, s: (epoch(e, s), more.update(late=state()['model.000']))[0]"
        ),
        "resumes bit-identically after an epoch",
        None,
    ),
    "no seeds": (
        trainer(
            "state, restore = started.state, started.restore\n"
            "        started.state = lambda: {k: v for k, v in state().items() if 'seed' not in k}\n"
            "        started.restore = lambda s: restore({**state(), **s})"
        ),
        "resumes bit-identically within an epoch",
        None,
    ),
    "logits": (trainer(predicted=" * 7"), "predicts probabilities", None),
    "no command": (("command", "it = print"), "prints its help", None),
    "no rate": (("optimizer", "def it():\n    import keras\n    return keras.optimizers.SGD()"), "learning rate", None),
    "rate without a number": (optimizer("0.1", rate="None"), "learning rate", None),
    "no optimizer": (("optimizer", "def it(learning_rate=0.1):\n    return 7"), "and the same again", None),
    "still": (optimizer("0.0"), "and the same again", None),
    "unseeded optimizer": (optimizer("np.random.default_rng().random()"), "and the same again", None),
    "ignores its rate": (optimizer("0.5"), "learning rate", None),
    "only a number": (optimizer("float(learning_rate)"), "learning rate", "only_a_number.py, line 8"),
    "rate by if": (schedule("lambda step: rate if step < 5 else rate / 10"), "trains", "keras.ops.where"),
    "rate as text": (schedule("'0.1'"), "a rate for each step", None),
    "rate that is None": (schedule("None"), "a rate for each step", None),
    "rates in a list": (schedule("[rate] * epochs"), "a rate for each step", None),
    "step without a number": (schedule("lambda step: None"), "a rate for each step", None),
    "step that fails": (schedule("lambda step: 1 / 0"), "a rate for each step", None),
    "NaN later": (schedule("lambda step: ops.where(step > 7, float('nan'), rate)"), "a rate for each step", None),
    "negative rate": (("schedule", "def it(rate, epochs, steps):\n    return -rate"), "a rate for each step", None),
    "rate of nothing": (
        ("schedule", "def it(rate, epochs, steps):\n    return lambda step: 0.0 * step"), "a rate for each step", None
    ),
    "backwards": (
        (
            "loss",
            "def it():\n    import keras\n    class Backwards(keras.losses.CategoricalCrossentropy):\n"
            "        def call(self, truth, predicted):\n            return -super().call(truth, predicted)\n"
            "    return Backwards()",
        ),
        "lower for better predictions",
        None,
    ),
    "loss of all images": (
        (
            "loss",
            "def it():\n    import keras\n    class Mean(keras.losses.CategoricalCrossentropy):\n"
            "        def call(self, truth, predicted):\n"
            "            return keras.ops.mean(super().call(truth, predicted))\n"
            "    return Mean()",
        ),
        "lower for better predictions",
        None,
    ),
    "loss that fails": (
        (
            "loss",
            "def it():\n    import keras\n    class Failing(keras.losses.Loss):\n"
            "        def call(self, truth, predicted):\n            return float(None)\n"
            "    return Failing()",
        ),
        "lower for better predictions",
        None,
    ),
    "augments to NaN": (
        augmentation("images / 0. * 0. if training else images"), "changes images only in training", None
    ),
    "augments to bytes": (augmentation("images * 255. if training else images"), "only in training", None),
    "augments to nothing": (augmentation("1 / 0"), "only in training", "augments_to_nothing.py, line 11"),
    "misspelled method": (augmentation("images", "def mix_label(self, labels): return labels"), "names that", None),
    "always": (augmentation("1 - images"), "changes images only in training", None),
    "crops": (augmentation("images[:, 1:] if training else images"), "changes images only in training", None),
    "makes it float16": (
        augmentation("keras.ops.cast(images, 'float16') if training else images"),
        "changes images only in training",
        None,
    ),
    "draws of its own": (
        augmentation("images + np.random.default_rng().random() if training else images"),
        "seed determines the result",
        None,
    ),
    "draws of everybody": (
        augmentation("images + keras.random.uniform(()) if training else images"),
        "seed determines the result",
        None,
    ),
    "error as a metric": (
        ("metric", "def it(probabilities, labels):\n    return (probabilities.argmax(1) != labels).mean()"),
        "better for better predictions",
        None,
    ),
    "metric of nothing": (
        ("metric", "def it(probabilities, labels):\n    return float('nan')"), "better for better predictions", None
    ),
    "no callback": (
        ("callback", "def it(run):\n    return run.path"),
        "returns a Keras callback",
        "it must return a keras.callbacks.Callback",
    ),
    "callback of other settings": (
        ("callback", "def it(run):\n    return run.settings['optimizer.momentum']"), "returns a Keras callback", None
    ),
    "callback that cannot be used here": (
        ("callback", "def it():\n    pass\ndef check():\n    import no_such_package\nit.check = check"),
        "returns a Keras callback",
        None,
    ),
}  # fmt: skip


LONGEST = ("draws of everybody", "draws of its own", "hidden state", "seeded hidden state", "unseeded order")


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, marks=[pytest.mark.slow] if fault in LONGEST else []) for fault in FAULTS],
)
def test_fault_is_found_by_its_check_and_told(tmp_path: Path, golden: Golden, fault: str) -> None:
    (kind, code), name, fact = FAULTS[fault]
    module = f"faulty_{fault.lower().replace(' ', '_')}"
    file = tmp_path / f"{module}.py"
    file.write_text(HEAD.format(plural=KINDS[kind].plural, module=module) + code)
    plugin = module.replace("_", "-")
    registry = zoo.load_registry({"ZOO_PLUGINS": ""}, files=[file])
    (check,) = [check for check in checks_of(plugin, registry=registry) if name in check.name]
    with pytest.raises(CheckFailedError) as raised:
        check()
    if fact is None:
        golden.says(str(raised.value))
    else:
        assert fact in str(raised.value)


def test_name_of_another_plugin_is_told(registry: Registry) -> None:
    registry.models.add(Entry(name="mlp", target="operator:eq", summary="Another."), plugin="fashion")
    (check,) = [each for each in checks_of("fashion", registry=registry) if "names are unique" in each.name]
    with pytest.raises(CheckFailedError) as raised:
        check()
    assert "fashion/mlp, vision/mlp" in str(raised.value)


@pytest.mark.parametrize("trained", ["zoo_fashion:trained/nothing", "zoo_fashion:trained/fashion-cnn-fast"])
def test_trained_weights_that_are_missing_or_another_s_are_told(registry: Registry, trained: str) -> None:
    recipe = registry.recipes.get("fashion-cnn").item
    registry.recipes.add(dataclasses.replace(recipe, name="mine", trained=trained, results=None), plugin="fashion")
    (check,) = [
        each for each in checks_of("fashion", registry=registry) if each.name == "recipe mine: trained weights load"
    ]
    with pytest.raises(CheckFailedError):
        check()


@pytest.mark.slow
def test_known_failure_is_told_apart_and_one_that_passes_is_a_failure(tmp_path: Path, golden: Golden) -> None:
    file = tmp_path / "square_only.py"
    _, code = model("layers.Reshape((input_shape[0] ** 2, input_shape[2])), " + SOUND)
    file.write_text(HEAD.format(plural="models", module="square_only") + code)
    registry = zoo.load_registry({"ZOO_PLUGINS": ""}, files=[file])
    seen: list[Result] = []
    known = {"model it: builds for any image size": "square images only", "model it: learns": "wrongly declared"}
    results = check_plugin("square-only", registry=registry, known_failures=known, on_result=seen.append)
    assert seen == results
    by_name = {result.name: result for result in results}
    assert by_name["model it: builds for any image size"].status == "known"
    assert "square images only" in by_name["model it: builds for any image size"].message
    assert by_name["model it: learns"].status == "failed"
    golden.says(by_name["model it: learns"].message)
    with golden.raises(UnknownNameError) as raised:
        check_plugin("square-only", registry=registry, known_failures={"model it: lerns": ""})
    assert "'model it: learns'" in str(raised.value)


def test_unknown_and_failed_plugins_are_told(registry: Registry, golden: Golden) -> None:
    with golden.raises(UnknownNameError) as raised:
        checks_of("fashoin", registry=registry)
    assert "'fashion'" in str(raised.value)
    registry.plugins["broken"] = dataclasses.replace(registry.plugins["keras"], name="broken", error="it broke")
    with golden.raises(CheckFailedError):
        checks_of("broken", registry=registry)


@pytest.mark.slow
def test_command_prints_each_result_and_exits_with_1_on_a_failure(
    run_zoo: Zoo, registry: Registry, golden: Golden
) -> None:
    class Odd(Dataset):
        def load(self, data_dir: Path | None) -> Any:
            return np.zeros(3)

    done = run_zoo("check", "results")
    assert done.status == 0
    golden.says(done.out)
    registry.datasets.add(zoo.Entry(name="odd", target=Odd, summary="Odd."), plugin="results")
    done = run_zoo("check", "results")
    assert done.status == 1
    golden.says(done.out)
