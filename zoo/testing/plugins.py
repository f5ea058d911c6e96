"""Checks of recipes, commands and the plugin as a whole."""

from __future__ import annotations

from functools import partial

from zoo.data import loading
from zoo.data.examples import Subset
from zoo.data.loading import input_shape, load_split
from zoo.data.split import cut_validation
from zoo.errors import AmbiguousNameError, ZooError
from zoo.interfaces import TrainingConfig
from zoo.models.build import build_model, build_with_policy, dtype_policy_of
from zoo.pipeline import results
from zoo.pipeline.load import load_model
from zoo.recipes import pretrained, resolution
from zoo.registry.catalog import resolve
from zoo.testing.common import Checks, Subject, ignore_step, require
from zoo.testing.process import files_of, in_new_process
from zoo.training.learning import learning_of
from zoo.training.trainer import close_on_exit, make_trainer

HEAVY = ("jax", "keras", "matplotlib", "numpy", "scipy", "tensorflow", "torch")
"""Packages that a plugin must not import before one of its objects is used."""


def light(subject: Subject) -> None:
    """Require that loading the plugin imports no heavy package."""
    loaded = in_new_process("modules", {"plugin": subject.plugin, "files": files_of(subject)})
    heavy = sorted(set(HEAVY) & set(loaded))
    require(
        not heavy,
        f"plugin {subject.plugin}: importing it imports {', '.join(heavy)}, which slows down `zoo list`: give "
        "targets by name ('package.module:name'), or import inside functions.",
    )


def needs_data_dir(subject: Subject) -> bool:
    """Return whether a recipe's dataset includes no data; False if that cannot be determined, so that checks fail."""
    try:
        return loading.needs_data_dir(
            resolution.resolve(subject.registry, subject.registered.qualified_name, {}).dataset
        )
    except ZooError:
        return False


def steps(subject: Subject) -> None:
    """Require that a recipe can train one step."""
    import keras
    import numpy as np

    resolved = resolution.resolve(subject.registry, subject.registered.qualified_name, {})
    split = cut_validation(load_split(resolved.dataset, subject.data_dir), resolved.validation)
    keras.utils.set_random_seed(resolved.seed)
    shape, classes = input_shape(split), len(split.class_names)
    trainer = make_trainer(resolved.trainer)
    with dtype_policy_of(trainer) as policy:
        model = build_model(resolved.model, shape, classes)
    settings = TrainingConfig(
        epochs=resolved.epochs,
        batch_size=resolved.batch_size,
        seed=resolved.seed,
        build=partial(build_with_policy, policy, resolved.model.to_make(shape, classes)),
        learning=learning_of(resolved),
    )
    batch = Subset(split.train, np.arange(min(resolved.batch_size, len(split.train))))
    with close_on_exit(trainer.start(model, batch, settings)) as started:
        metrics = started.run_epoch(0, ignore_step)
    require(
        np.isfinite(metrics.loss),
        f"{subject.title}: the loss of its first step is {metrics.loss}: lower the learning rate.",
    )


def recorded(subject: Subject) -> None:
    """Require that the results that ship with a recipe can be read and are those of its current settings."""
    results.read_results(subject.registered.qualified_name, subject.registry)


def trained(subject: Subject) -> None:
    """Require that the weights that ship with a recipe come from a tested run of it, and load into its model."""
    run = pretrained.pretrained_run(subject.registered)
    if run is None:
        return
    recipe = run.record.recipe
    require(
        f"{recipe.plugin}/{recipe.name}" == subject.registered.qualified_name,
        f"{subject.title}: its trained weights belong to recipe {recipe.plugin}/{recipe.name}: name the folder of a "
        "run of this recipe.",
    )
    require(
        run.record.status == "tested",
        f"{subject.title}: its trained weights come from a run that is not tested: test it with `zoo test`. "
        f"Received: status={run.record.status}",
    )
    load_model(run, subject.registry)


def has_names_of_its_own(subject: Subject) -> None:
    """Require that no other plugin registers the same names: a shared name resolves to neither."""
    for catalog in subject.registry.catalogs.values():
        for registered in catalog:
            if registered.plugin != subject.plugin:
                continue
            for name in (registered.name, *registered.item.aliases):
                try:
                    catalog.get(name)
                except AmbiguousNameError as error:
                    require(
                        False,
                        f"{subject.title}: another plugin also registers a {registered.kind} named {name!r} "
                        f"({', '.join(error.choices)}), so it works only by its full name: choose another name.",
                    )


def helps(subject: Subject) -> None:
    """Require that a command prints its help."""
    import click
    from click.testing import CliRunner

    command = resolve(subject.registered)
    require(
        isinstance(command, click.Command),
        f"{subject.title}: its target must be a click.Command. Received: {command!r:.200}",
    )
    result = CliRunner().invoke(
        command,  # type: ignore[arg-type]  # checked in the line above
        ["--help"],
        help_option_names=["-h", "--help"],  # as in zoo, because click caches the help option
    )
    require(result.exit_code == 0, f"{subject.title}: --help exits with {result.exit_code}: {result.output!r:.200}")


RECIPE: Checks = {
    "trains one step": steps,
    "recorded results match the recipe": recorded,
    "trained weights load": trained,
}
"""The checks of a recipe, by requirement."""

COMMAND: Checks = {"prints its help": helps}
"""The checks of a command, by requirement."""
