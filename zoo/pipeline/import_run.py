"""Import the weights of another program into a run folder."""

from __future__ import annotations

import os
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import msgspec

from zoo.data.loading import load_split
from zoo.errors import ArtifactError, SettingError, UnknownNameError
from zoo.models import weights
from zoo.models.build import build_model, dtype_policy_of
from zoo.models.size import check_size
from zoo.pipeline.arguments import check_path, check_type, registry_or_default
from zoo.pipeline.initial_weights import InitialWeights, match_file, record_of
from zoo.pipeline.preparation import prepare
from zoo.pipeline.run_start import plugin_records
from zoo.pipeline.train import describe_data
from zoo.recipes import run_recipes
from zoo.recipes.components import component_settings
from zoo.runs import environment, run_folder
from zoo.runs.data_records import DataRecord
from zoo.runs.record_io import FORMAT
from zoo.runs.records import RunRecord, Seconds
from zoo.training.progress import NullProgress
from zoo.training.trainer import make_trainer
from zoo.utils import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zoo.interfaces import Progress
    from zoo.models.matching import Matching
    from zoo.pipeline.run_config import RunConfig
    from zoo.registry.registry import Registry
    from zoo.runs.run_folder import Run


def import_weights(
    file: str | Path,
    *,
    model: str | None = None,
    recipe: str | None = None,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    input_shape: Sequence[int] | None = None,
    class_names: Sequence[str] | None = None,
    out: str | Path | None = None,
    registry: Registry | None = None,
) -> Run:
    """Import weights that another program saved into a run folder, as weights of a registered model.

    The file is read in a child process with limits. Nothing in it is executed, and no configuration in it is used.

    Args:
        file: Weights of Keras (``.h5``, ``.hdf5``, ``.keras``), PyTorch (``.pt``, ``.pth``, ``.bin``), ``.safetensors``
            or ``.onnx``.
        model: Name of the registered model. By default, the recipe's.
        recipe: Name of the recipe to test and train the model with. By default, the first one that names the model, or
            else of its plugin.
        dataset: Name of the dataset to use instead of the recipe's.
        settings: Settings of the components: ``{"model.dropout": 0.1}``.
        data_dir: Folder or file that the dataset reads.
        input_shape: Height, width and channels of the images. By default, the dataset is read to find out.
        class_names: Names of the classes in the order of the model's outputs; with ``input_shape``.
        out: Run folder, as for `zoo.run`.
        registry: Registry in which names are looked up. Defaults to a new one with all installed plugins.

    Returns:
        The run, with status ``"imported"``.

    Raises:
        ArtifactError: The file cannot be read, or does not contain exactly the weights of the model.
        UnknownNameError: The model, recipe or dataset is not registered.
        SettingError: An argument or setting is not allowed.
        ZooError: The data or the run folder is invalid.
    """
    registry = registry_or_default(registry)
    check_type("file", file, (str, Path), "a path")
    check_path("data_dir", data_dir)
    check_type("class_names", class_names, (list, tuple, NoneType), "a list of names or None")
    check_type("input_shape", input_shape, (list, tuple, NoneType), "height, width and channels, or None")
    config = prepare_import(
        registry,
        Path(file),
        model=model,
        recipe=recipe,
        dataset=dataset,
        settings=settings,
        data_dir=data_dir,
        input_shape=input_shape,
        class_names=class_names,
        out=out,
    )
    return carry_out_import(config, Path(file), input_shape, class_names, NullProgress())[0]


def prepare_import(
    registry: Registry,
    file: Path,
    *,
    model: str | None,
    recipe: str | None,
    dataset: str | None,
    settings: Mapping[str, Any] | None,
    data_dir: str | Path | None,
    input_shape: Sequence[int] | None,
    class_names: Sequence[str] | None,
    out: str | Path | None,
) -> RunConfig:
    """Return the run configuration of an import, without importing Keras; arguments as for `import_weights`."""
    if not os.path.lexists(file):
        raise ArtifactError(f"There is no such file. Check the path. Received: file={str(file)!r}", path=file)
    if recipe is None:
        if model is None:
            raise SettingError("Pass a model or a recipe (--model, --recipe). Received: model=None, recipe=None")
        recipe = _recipe_of(registry, model)
    if input_shape is not None:
        _check_shape(input_shape, class_names)
        found = registry.recipes.get(recipe)
        data = registry.datasets.get(dataset or found.item.dataset, prefer=None if dataset else found.plugin)
        if "dataset.size" in component_settings(data):
            settings = {"dataset.size": tuple(input_shape[:2])} | dict(settings or {})
    elif class_names is not None:
        raise SettingError(
            "Class names are the dataset's unless the input shape is given. Pass both (--input-shape, --classes), or "
            "neither. Received: input_shape=None"
        )
    return prepare(
        recipe,
        model=model,
        dataset=dataset,
        settings=settings,
        data_dir=data_dir,
        out=out,
        check_data=input_shape is None,
        registry=registry,
    )


def _recipe_of(registry: Registry, model: str) -> str:
    """Return the recipe that names a model: the one of the same name, else the first; else one of the same plugin."""
    registered = registry.models.get(model)
    names = (registered.name, registered.qualified_name)
    exact = [each for each in registry.recipes if each.item.model in names]
    fitting = exact or [each for each in registry.recipes if each.plugin == registered.plugin]
    if not fitting:
        raise UnknownNameError(
            f"No recipe names model {model!r}, so there is no dataset to test it on. Pass a recipe (--recipe). "
            f"Received: model={model!r}",
            kind="recipe",
            name=model,
        )
    own = (registered.plugin, registered.name)
    return min(fitting, key=lambda each: (each.plugin != own[0], each.name != own[1], each.name)).qualified_name


def _check_shape(shape: Sequence[int], class_names: Sequence[str] | None) -> None:
    sides = tuple(shape)
    if len(sides) != 3 or not all(type(side) is int and 1 <= side <= 1 << 20 for side in sides):
        raise SettingError(
            "The input shape must be height, width and channels, such as 224,224,3. "
            f"Received: input_shape={sides!r:.100}",
            name="input_shape",
            value=shape,
        )
    is_list = class_names and all(isinstance(name, str) and name for name in class_names)
    if not class_names or not is_list or len(set(class_names)) != len(class_names):
        raise SettingError(
            "With an input shape, pass the names of the classes too, each once (--classes). "
            f"Received: class_names={class_names!r:.100}",
            name="class_names",
            value=class_names,
        )


def carry_out_import(
    config: RunConfig,
    file: Path,
    input_shape: Sequence[int] | None,
    class_names: Sequence[str] | None,
    progress: Progress,
) -> tuple[Run, Matching]:
    """Build the model, give it the weights of a file, and save both in the run folder.

    Args:
        config: What `prepare_import` returned.
        file: The weights file.
        input_shape: As for `import_weights`.
        class_names: As for `import_weights`.
        progress: Notified as the import advances.

    Returns:
        The run, and what it took from the file.

    Raises:
        ArtifactError: The file cannot be read, or does not contain exactly the weights of the model.
    """
    data = _data(config, input_shape, class_names, progress)
    progress.stage("building the model")
    component, shape, num_classes = config.recipe.model, data.input_shape, len(data.class_names)
    check_size(component, shape, num_classes)
    with dtype_policy_of(make_trainer(config.recipe.trainer)) as policy:
        model = build_model(component, shape, num_classes)
    init = InitialWeights(source=str(file), path=file, sha256=None, is_run=False, is_partial=False)
    read, matching = match_file(init, model, component, config.registry, progress, is_whole=True)
    artifact = weights.encode(model)
    record = RunRecord(
        format=FORMAT,
        id=run_folder.new_id(),
        started=run_folder.now(),
        goal="trained",
        status="imported",
        recipe=run_recipes.to_record(config.recipe),
        data=data,
        parameters=model.count_params(),
        plugins=plugin_records(config.recipe, config.registry),
        environment=environment.describe(policy.name),
        init=record_of(init, read, matching),
        model_sha256=files.sha256(artifact),
        seconds=Seconds(train=0.0, total=0.0),
    )
    with run_folder.lock_run_folder(config.path):
        run = run_folder.create(config.path, msgspec.structs.replace(record, status="training", model_sha256=None))
        files.write_file(config.path / run_folder.MODEL, artifact)
        return run_folder.update(run, record), matching


def _data(
    config: RunConfig, shape: Sequence[int] | None, class_names: Sequence[str] | None, progress: Progress
) -> DataRecord:
    if shape is None:
        progress.stage("loading the data")
        return describe_data(load_split(config.recipe.dataset, config.data_dir))
    height, width, channels = shape
    return DataRecord(
        train=0,
        validation=0,
        test=0,
        input_shape=(height, width, channels),
        class_names=list(class_names or ()),
        digests={},
    )
