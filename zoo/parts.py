"""The parts of a plan, made: data loaded, model built, trainer ready; each checked, each fault told as its plugin's."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import files, weights
from zoo.blame import blaming
from zoo.errors import DataError, PluginError
from zoo.examples import CheckedExamples
from zoo.hardware import computes_bfloat16, usable_memory
from zoo.interfaces import Dataset, ImageInput, Split, Trainer
from zoo.interrupts import HeldSignals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import keras

    from zoo.plan import Part

AUTO = "auto"
"""The dtype policy of a trainer that leaves it to the machine."""


def load_split(part: Part, data_dir: str | Path | None, image_shape: tuple[int, int, int] | None = None) -> Split:
    """Return the split that a data set loads, its examples to be checked whenever they are read.

    Args:
        part: The data set.
        data_dir: The folder to read it from, or the file if it takes one, if not its own.
        image_shape: Height, width and channels that its images must have; None for those of the first training image.

    Raises:
        DataError: The folder or file does not exist, or the data are not what they should be.
        PluginError: It fails otherwise, or loads something else.
    """
    with blaming(part.title, "load"):
        split = _dataset_for(part, data_dir).load(None if data_dir is None else Path(data_dir))
        if not isinstance(split, Split):
            raise PluginError(f"The {part.title} did not load a Split. Received: {split!r:.200}")
        return _checked(split, part.title, image_shape)


def make_dataset(part: Part) -> Dataset:
    """Return a data set, not loaded.

    Raises:
        PluginError: It cannot be made, or is none.
    """
    dataset: Dataset = _make(part, Dataset, "has no method load")
    return dataset


def image_input_of(part: Part) -> ImageInput:
    """Return how other images are brought to the form of a data set's own, as it says or by default.

    Raises:
        PluginError: The data set cannot be made, or says something else.
    """
    found = _said(part, make_dataset(part), "image_input", None)
    found = ImageInput() if found is None else found
    if not isinstance(found, ImageInput):
        raise PluginError(f"The image_input of {part.title} must be a zoo.ImageInput. Received: {found!r:.200}")
    return found


def needs_data_dir(part: Part) -> bool:
    """Return whether a data set says that it has no data of its own.

    Raises:
        PluginError: It cannot be made, or does not say that.
    """
    return _is_said(part, make_dataset(part), "needs_data_dir")


def check_data_dir(part: Part, data_dir: str | Path | None) -> None:
    """Check what can be told of ``data_dir`` before anything is read; a data set may look at what is in it.

    Args:
        part: The data set.
        data_dir: As for `load_split`.

    Raises:
        DataError: The folder or file does not exist, the data set needs one and none is given, or it finds a fault.
        PluginError: The data set cannot be made, does not say what it reads, or fails.
    """
    dataset = _dataset_for(part, data_dir)
    if data_dir is None and _is_said(part, dataset, "needs_data_dir"):
        what = "folder or file" if _is_said(part, dataset, "takes_file") else "folder"
        raise DataError(f"The {part.title} has no data of its own: give the {what} of yours, --data-dir PATH.")
    with blaming(part.title, "check data_dir"):
        check = getattr(dataset, "check_data_dir", None)
        if check is not None:
            check(None if data_dir is None else Path(data_dir))


def _dataset_for(part: Part, data_dir: str | Path | None) -> Dataset:
    """Return a data set that can be asked to read a folder or file.

    Raises:
        DataError: There is no such folder or file.
        PluginError: It cannot be made.
    """
    dataset = make_dataset(part)
    if data_dir is None:
        return dataset
    takes_file = _is_said(part, dataset, "takes_file")
    try:
        mode = os.stat(data_dir).st_mode
    except (OSError, ValueError) as error:
        fault = f"the path cannot be followed: {getattr(error, 'strerror', None) or error}"
    else:
        if stat.S_ISDIR(mode) or (takes_file and stat.S_ISREG(mode)):
            return dataset
        fault = "the path is that of something else"
    what = "a folder or a file" if takes_file else "a folder"
    raise DataError(f"The {part.title} reads {what}, and {fault}. Received: data_dir={str(data_dir)!r}")


def _is_said(part: Part, dataset: Dataset, name: str) -> bool:
    """Return what an attribute of a data set says that is True or False, False where it has none."""
    found = _said(part, dataset, name, False)
    if not isinstance(found, bool):
        raise PluginError(f"The {name} of {part.title} must be True or False. Received: {found!r:.200}")
    return found


def _said(part: Part, dataset: Dataset, name: str, default: object) -> object:
    with blaming(part.title, f"say its {name}"):
        return getattr(dataset, name, default)


def _checked(split: Split, title: str, shape: tuple[int, int, int] | None) -> Split:
    import numpy as np

    names = tuple(split.class_names) if isinstance(split.class_names, tuple | list) else ()
    if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(name, str) and name for name in names):
        raise DataError(
            f"The {title} must name its classes in a tuple: two texts or more, no two alike. "
            f"Received: class_names={split.class_names!r:.200}"
        )
    for name in ("train", "validation", "test"):
        examples = getattr(split, name)
        if not (name == "validation" and examples is None) and not len(examples):
            raise DataError(f"The {title} has no {name} images. Received: len({name})=0")
    if len(split.test_names) not in (0, len(split.test)):
        raise DataError(
            f"The {title} must name all of its test images or none. "
            f"Received: len(test_names)={len(split.test_names)}, len(test)={len(split.test)}"
        )
    train, validation = CheckedExamples(split.train, f"training images of {title}", shape), split.validation
    if shape is None:
        shape = train.shape = train[np.arange(1)][0].shape[1:]
    return Split(
        train=train,
        test=CheckedExamples(split.test, f"test images of {title}", shape),
        validation=None if validation is None else CheckedExamples(validation, f"validation images of {title}", shape),
        class_names=names,
        digests=dict(split.digests),
        left_out=tuple(split.left_out),
        test_names=tuple(split.test_names),
    )


def input_shape(split: Split) -> tuple[int, int, int]:
    """Return height, width and channels of a split's images."""
    import numpy as np

    height, width, channels = split.train[np.arange(1)][0].shape[1:]
    return int(height), int(width), int(channels)


def bytes_of_model(part: Part, input_shape: tuple[int, int, int], num_classes: int) -> int | None:
    """Return how many bytes the weights of a model would take, found without making any; None if that fails.

    The builder is called once more than for the model: in a thread of its own, whose Keras state ends with it, so that
    neither names nor random numbers of the models built after it are others.
    """
    import random
    import threading

    import keras
    import numpy as np

    def measure() -> None:
        keras.config.set_dtype_policy(policy)
        with contextlib.suppress(Exception, SystemExit), keras.StatelessScope(initialize_variables=False):
            # what is wrong with it is told when the model is built
            sizes.append(weights.bytes_needed(weights.layout_of(part.make(input_shape, num_classes))))

    sizes: list[int] = []
    policy, states = keras.config.dtype_policy(), (random.getstate(), np.random.get_state())  # not ours
    thread = threading.Thread(target=measure, daemon=True)
    with HeldSignals():  # the process cannot end well in the midst of it
        thread.start()
        thread.join()
    random.setstate(states[0])
    np.random.set_state(states[1])
    return sizes[0] if sizes else None


def check_size(part: Part, input_shape: tuple[int, int, int], num_classes: int, artifact: Path | None = None) -> None:
    """Raise `PluginError` if a model would take too much memory, before any of its weights is made.

    A quarter of the memory is for the weights: what trains or loads them has copies. If they are in an artifact, they
    have no more bytes than that.
    """
    needed = bytes_of_model(part, input_shape, num_classes)
    limits = [(usable_memory() // 4, "a quarter of the memory here")]
    if artifact is not None:
        limits.append((files.size_of(artifact), str(artifact)))
    limit, whose = min(limits)
    if needed is not None and needed > limit:
        bytes_, has = f"{min(needed, 1 << 100):.3g}", f"{limit:.3g}"
        raise PluginError(
            f"The {part.title} would need {bytes_} bytes for its weights, and {whose} has {has}: check its settings. "
            f"Received: input_shape={input_shape}, {dict(part.settings)!r:.200}"
        )


@contextlib.contextmanager
def dtype_policy_of(trainer: Trainer, recorded: str | None = None) -> Iterator[keras.DTypePolicy]:
    """Build models with the dtype policy that a trainer asks for, if any; give that policy.

    Args:
        trainer: What may have an attribute ``dtype_policy``.
        recorded: What ``auto`` stands for; None for ``mixed_bfloat16`` where that is fast, else ``float32``.
    """
    import keras

    before = keras.config.dtype_policy()
    policy = getattr(trainer, "dtype_policy", before)
    if policy == AUTO:
        policy = recorded or ("mixed_bfloat16" if computes_bfloat16() else "float32")
    keras.config.set_dtype_policy(policy)
    try:
        yield keras.config.dtype_policy()
    finally:
        keras.config.set_dtype_policy(before)


def build_with_policy(policy: keras.DTypePolicy, make: Callable[[], keras.Model]) -> keras.Model:
    """Return what a builder makes under a dtype policy, in whatever process."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return make()
    finally:
        keras.config.set_dtype_policy(before)


def build_model(part: Part, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Return the model that a part builds, its output checked.

    Raises:
        PluginError: It cannot be built, or does not map images to ``(batch, num_classes)``.
    """
    import keras

    with blaming(part.title, f"build for images {input_shape} and {num_classes} classes"):
        model = part.make(input_shape, num_classes)
    # absent where a model does not know its input yet
    shapes = [getattr(model, name, None) for name in ("input_shape", "output_shape")]
    is_sound = _takes(shapes[0], (None, *input_shape)) and shapes[1] == (None, num_classes)
    if not isinstance(model, keras.Model) or not is_sound:
        received = f"{shapes[0]} to {shapes[1]}" if isinstance(model, keras.Model) else f"{model!r:.200}"
        raise PluginError(
            f"The {part.title} must build a keras.Model that begins with keras.Input(input_shape) and maps "
            f"{(None, *input_shape)} to {(None, num_classes)}. Received: {received}"
        )
    for weight in model.weights:
        if (dtype := keras.backend.standardize_dtype(weight.dtype)) not in weights.TYPES:
            raise PluginError(
                f"The {part.title} has a weight of a type that artifacts do not hold: keep weights float32, and "
                f"compute in bfloat16 with the dtype policy 'mixed_bfloat16'. Received: dtype={dtype!r}"
            )
    return model


def _takes(shape: object, wanted: tuple[int | None, ...]) -> bool:
    """Return whether a model's input shape is as wanted, or leaves sizes open where it is not."""
    return (
        isinstance(shape, tuple)
        and len(shape) == len(wanted)
        and all(size in (None, wanted_size) for size, wanted_size in zip(shape, wanted, strict=True))
    )


def make_trainer(part: Part) -> Trainer:
    """Return a trainer.

    Raises:
        PluginError: It cannot be made, or is none.
    """
    trainer: Trainer = _make(part, Trainer, "lacks start or predict")
    return trainer


def _make(part: Part, protocol: Any, fault: str) -> Any:
    """Return what a part makes, or say what it lacks of its protocol."""
    with blaming(part.title, "start"):
        made = part.make()
    if not isinstance(made, protocol):
        raise PluginError(f"The {part.title} {fault}. Received: {made!r:.200}")
    return made
