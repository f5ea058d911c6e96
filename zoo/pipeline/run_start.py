"""The record of a run that starts or resumes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import msgspec

from zoo.errors import RunFolderError, ZooWarning
from zoo.recipes import run_recipes
from zoo.runs import checkpoints, environment, run_folder
from zoo.runs.record_io import FORMAT
from zoo.runs.records import PluginRecord, ResumeRecord, RunRecord, Seconds

if TYPE_CHECKING:
    from zoo.pipeline.job import Job
    from zoo.recipes.resolution import ResolvedRecipe
    from zoo.registry.registry import Registry
    from zoo.runs.data_records import DataRecord
    from zoo.runs.records import EnvironmentRecord, InitRecord
    from zoo.runs.run_folder import Run


def start_or_resume(job: Job, data: DataRecord, parameters: int, dtype_policy: str, init: InitRecord | None) -> Run:
    """Write the first ``run.json`` of a new run, or update that of a resumed one."""
    now = environment.describe(dtype_policy)
    if job.earlier is None:
        return run_folder.create(
            job.path,
            RunRecord(
                format=FORMAT,
                id=run_folder.new_id(),
                started=run_folder.now(),
                goal=job.goal,
                status="training",
                recipe=run_recipes.to_record(job.recipe),
                checkpoint_every=job.checkpoint_every,
                track=list(job.track),
                data=data,
                parameters=parameters,
                plugins={},
                environment=now,
                init=init,
                seconds=Seconds(train=0.0, total=0.0),
            ),
        )
    earlier = job.earlier.record
    if (backend := earlier.environment.backend) != now.backend:
        raise RunFolderError(
            f"The run in {job.path} was started with the Keras backend {backend}, and its checkpoints require it. Set "
            f"KERAS_BACKEND={backend}. Received: KERAS_BACKEND={now.backend}",
            path=job.path,
        )
    if parameters != earlier.parameters:
        raise RunFolderError(
            f"The model of {job.path} had {earlier.parameters:,} parameters when the run was started, but its builder "
            "now creates a different model. Install the version of the plugin that the run was started with. "
            f"Received: parameters={parameters:,}",
            path=job.path,
        )
    if earlier.history and not checkpoints.numbers_in(job.path):
        warnings.warn(
            f"The checkpoints of the run in {job.path} are missing, so its {len(earlier.history)} completed epochs are "
            "lost. It is trained from the start.",
            ZooWarning,
            stacklevel=4,
        )
    if changes := _differences(job, earlier, now):
        warnings.warn(
            f"The run in {job.path} was started in another environment, so its results may not be bit-identical to "
            f"those of an uninterrupted run: {', '.join(changes)}.",
            ZooWarning,
            stacklevel=4,
        )
    return run_folder.update(
        job.earlier,
        msgspec.structs.replace(
            earlier,
            goal=job.goal,
            status="training",
            error=None,
            track=list(job.track),
            resumed=[*earlier.resumed, ResumeRecord(time=run_folder.now(), environment_changes=changes)],
        ),
    )


def plugin_records(recipe: ResolvedRecipe, registry: Registry, earlier: Run | None = None) -> dict[str, PluginRecord]:
    """Return the plugins of a run's recipe, with the versions that the run was started with."""
    names = {recipe.plugin, *(component.plugin for component in recipe.components)}
    known, before = registry.plugins, earlier.record.plugins if earlier else {}
    now = {
        name: PluginRecord(package=known[name].package, version=known[name].version)
        if name in known
        else PluginRecord(package=None, version="unknown")
        for name in names
    }
    return dict(sorted((now | before).items()))


def _differences(job: Job, earlier: RunRecord, now: EnvironmentRecord) -> list[str]:
    """Return the changes since the start of the run that can affect bit-identical results."""
    plugins = job.registry.plugins
    return environment.differences(earlier.environment, now) + [
        f"plugin {name} {was.version} -> {plugins[name].version}"
        for name, was in earlier.plugins.items()
        if name in plugins and plugins[name].version != was.version
    ]
