"""The model that is served: an exported file if a run has one, else the run's Keras model."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.errors import SettingError
from zoo.utils import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zoo import LoadedModel, Registry, Run

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")  # in a path
_RUNTIMES = {
    "export/litert": ("litert", "LiteRT"),
    "export/onnx": ("onnx_onnxv1", "ONNX Runtime"),
    "export/openvino": ("openvino", "OpenVINO"),
}  # of our exporters: the name in the protocol, and for people


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model with the names that the service calls it by.

    Args:
        model: The model.
        name: Its name in paths: letters, digits, ``.``, ``_`` and ``-``.
        platform: What runs it, in the protocol's words: ``"onnx_onnxv1"``.
        runtime: The same for people: ``"ONNX Runtime"``.
        is_steady: Whether an image always takes about the same time, as with the runtimes of our exporters.
        compiles_each_size: Whether a batch of another size takes long when it first comes, as with Keras on JAX.
    """

    model: LoadedModel
    name: str
    platform: str
    runtime: str
    is_steady: bool = False
    compiles_each_size: bool = False

    @property
    def title(self) -> str:
        """The source and the runtime, on one line: ``"runs/first/exports/fashion-cnn.onnx, by ONNX Runtime"``."""
        return printable(f"{self.model.source}, by {self.runtime}")


def load_served(
    source: str,
    registry: Registry,
    *,
    name: str | None,
    use_keras: bool,
    before_keras: Callable[[], object],
    threads: int | None = None,
) -> ServedModel:
    """Load the model to serve.

    Args:
        source: A run folder, the name of a recipe that ships with trained weights, or an exported file.
        registry: Registry in which names are looked up.
        name: Its name in paths; None for the name of its recipe.
        use_keras: Whether to use the run's Keras model even if the run has an exported file.
        before_keras: Function to call before Keras is needed.
        threads: Maximum number of threads of an exported file's runtime; None for its default.

    Raises:
        SettingError: The name is not allowed, or an exported file is to be served with Keras.
        RunFolderError, ArtifactError, PluginError: As for `zoo.load`.
    """
    from zoo import load, open_run
    from zoo.cli.toolkit import is_exported

    if name is not None and (not name or _UNSAFE.search(name)):
        raise SettingError(
            f"The name of the model may have letters, digits, '.', '_' and '-'. Received: --name {name!r}",
            name="name",
            value=name,
        )
    if is_exported(source, registry):
        if use_keras:
            raise SettingError(
                f"An exported file has no Keras model. Pass its run, or leave out --keras. Received: {source!r}",
                name="keras",
                value=True,
            )
        return _served(load(source, threads=threads, registry=registry), name, registry)
    run = open_run(source, registry=registry)
    if not use_keras and (exported := find_exported(run, registry, threads)) is not None:
        return _served(exported, name, registry)
    before_keras()
    return _served(load(run, registry=registry), name, registry)


def find_exported(run: Run, registry: Registry, threads: int | None = None) -> LoadedModel | None:
    """Return the ONNX file that was exported from a run, or None if there is none or ONNX Runtime is not installed.

    Args:
        run: The run. Its files are those that `zoo.find_exports` returns; 8-bit files are skipped.
        registry: Registry in which the exporter is looked up.
        threads: As for `load_served`.
    """
    from zoo import find_exports, load

    if importlib.util.find_spec("onnxruntime") is None:
        return None
    for found in find_exports(run, registry=registry):
        if found.path.suffix == ".onnx" and not found.record.export.int8:
            return load(found.path, threads=threads, registry=registry)
    return None


def _served(loaded: LoadedModel, name: str | None, registry: Registry) -> ServedModel:
    if loaded.exported is not None:
        recipe = loaded.exported.recipe
        platform, runtime, is_ours = _runtime(loaded.source, registry)
        backend = None
    else:
        from keras import config

        recipe, platform, runtime, is_ours = loaded.run.record.recipe.name, "keras_safetensors", "Keras", False
        backend = config.backend()
    safe = _UNSAFE.sub("-", recipe.rpartition("/")[2]).strip("-") or "model"
    return ServedModel(
        model=loaded,
        name=name or safe,
        platform=platform,
        runtime=runtime,
        is_steady=is_ours,
        compiles_each_size=backend == "jax",
    )


def _runtime(path: Path, registry: Registry) -> tuple[str, str, bool]:
    """Return what runs an exported file, in the protocol's words and for people, and whether we wrote the exporter.

    That is the registered exporter with the file's suffix, whatever the file says of itself.
    """
    from zoo.cli.toolkit import exporter_of

    exporter = exporter_of(path, registry)
    if exporter is None:
        return "unknown", "an unknown runtime", False
    if exporter.qualified_name in _RUNTIMES:
        return *_RUNTIMES[exporter.qualified_name], True
    return exporter.name, exporter.name, False
