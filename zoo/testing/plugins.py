"""Checks of settings, recipes, commands, trackers, callbacks and the plugin as a whole."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from zoo.data.examples import Subset
from zoo.data.loading import input_shape, load_split
from zoo.data.split import cut_validation
from zoo.errors import AmbiguousNameError, ZooError
from zoo.interfaces import RunContext, Split, TrainingConfig
from zoo.models.build import build_model, build_with_policy, dtype_policy_of
from zoo.pipeline import results
from zoo.pipeline.load import load_model
from zoo.recipes import pretrained, resolution
from zoo.recipes.components import component_settings, default_component
from zoo.recipes.settings import REQUIRED
from zoo.registry.catalog import resolve
from zoo.testing.common import SHAPE, Subject, ignore_step, noise, require, small_model, trainer
from zoo.testing.process import files_of, in_new_process
from zoo.training.loop import train
from zoo.training.trackers import ask
from zoo.training.trainer import close_on_exit, make_trainer
from zoo.utils.plugin_errors import plugin_errors

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


def gives_callbacks(subject: Subject) -> None:
    """Require Keras callbacks that run for an epoch without an error."""
    import keras

    batch, model = noise(SHAPE, 3), small_model()
    split = Split(train=batch, validation=batch, test=batch, class_names=("a", "b", "c"))
    settings_of_a_run = resolution.resolve(subject.registry, "fashion/fashion-cnn", {}).settings()
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(
            path=Path(folder), recipe="fashion-cnn", settings=settings_of_a_run, class_names=("a", "b", "c")
        )
        for callbacks in subject.registry.plugins[subject.plugin].hooks.hook.register_callbacks(run=context):
            for callback in callbacks:
                require(
                    isinstance(callback, keras.callbacks.Callback),
                    f"{subject.title}: register_callbacks must return keras.callbacks.Callback objects. "
                    f"Received: {callback!r:.100}",
                )
            train(
                trainer(subject.registry),
                model,
                split,
                TrainingConfig(epochs=1, batch_size=16, seed=0),
                callbacks={subject.plugin: callbacks},
            )


def tracks(subject: Subject) -> None:
    """Require that a tracker returns a Keras callback for a run, unless its ``check`` says what to install."""
    import keras

    target = resolve(subject.registered)
    with plugin_errors(subject.title, "run its check"):
        try:
            ask(target)
        except ZooError:
            return  # the message says what to install
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(path=Path(folder), recipe="check", settings={}, class_names=("a", "b", "c"), id="check")
        made = target(context)
    require(
        isinstance(made, keras.callbacks.Callback),
        f"{subject.title}: its target must return a keras.callbacks.Callback. Received: {made!r:.200}",
    )


def settings(subject: Subject) -> None:
    """Require a type for every setting, and a default of that type."""
    for spec in component_settings(subject.registered).values():
        require(
            spec.default is not REQUIRED,
            f"{subject.title}: setting {spec.name!r} has no default: add one, so that it can be omitted.",
        )
    default_component(subject.registered)


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
