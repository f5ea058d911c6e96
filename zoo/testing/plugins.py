"""What is checked of settings, recipes, commands and the plugin itself."""

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
"""What a plugin must not import before something of it is used."""


def light(subject: Subject) -> None:
    """Ask that listing the plugin imports nothing heavy."""
    loaded = in_new_process("modules", {"plugin": subject.plugin, "files": files_of(subject)})
    heavy = sorted(set(HEAVY) & set(loaded))
    require(
        not heavy,
        f"plugin {subject.plugin}: importing it imports {', '.join(heavy)}, and every `zoo list` would wait for "
        "that: give "
        "targets by name ('package.module:name'), or import inside the functions.",
    )


def gives_callbacks(subject: Subject) -> None:
    """Ask for Keras's callbacks, and that they live through an epoch."""
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
    """Ask that a tracker, where it can be used, is a callback of Keras for a run."""
    import keras

    target = resolve(subject.registered)
    with plugin_errors(subject.title, "say whether it can be used"):
        try:
            ask(target)
        except ZooError:
            return  # it says what to install
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(path=Path(folder), recipe="check", settings={}, class_names=("a", "b", "c"), id="check")
        made = target(context)
    require(
        isinstance(made, keras.callbacks.Callback),
        f"{subject.title}: its target must return a keras.callbacks.Callback. Received: {made!r:.200}",
    )


def settings(subject: Subject) -> None:
    """Ask that every setting has a type, and a default of it."""
    for spec in component_settings(subject.registered).values():
        require(
            spec.default is not REQUIRED,
            f"{subject.title}: setting {spec.name!r} has no default: give it one, or nothing runs without it.",
        )
    default_component(subject.registered)


def steps(subject: Subject) -> None:
    """Ask that a recipe trains a step."""
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
    require(np.isfinite(metrics.loss), f"{subject.title}: its first step gives a loss of {metrics.loss}: train slower.")


def recorded(subject: Subject) -> None:
    """Ask that the results that a recipe ships with can be read, and are of the recipe as it is."""
    results.read_results(subject.registered.qualified_name, subject.registry)


def trained(subject: Subject) -> None:
    """Ask that the weights that a recipe ships with are of it, and load into the model that it builds."""
    run = pretrained.pretrained_run(subject.registered)
    if run is None:
        return
    recipe = run.record.recipe
    require(
        f"{recipe.plugin}/{recipe.name}" == subject.registered.qualified_name,
        f"{subject.title}: its trained weights are of recipe {recipe.plugin}/{recipe.name}: name the folder of a run "
        "of this recipe.",
    )
    require(
        run.record.status == "tested",
        f"{subject.title}: its trained weights are of a run that is {run.record.status}: finish it with `zoo test`.",
    )
    load_model(run, subject.registry)


def has_names_of_its_own(subject: Subject) -> None:
    """Ask that no name that the plugin registers is another plugin's too: neither would have it then."""
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
                        f"{subject.title}: its {registered.kind} {name!r} has a name that is taken "
                        f"({', '.join(error.choices)}): both would have to be written out. Choose another.",
                    )


def helps(subject: Subject) -> None:
    """Ask that a command shows its help."""
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
        help_option_names=["-h", "--help"],  # as zoo has it, since click keeps the option that it makes
    )
    require(result.exit_code == 0, f"{subject.title}: --help exits with {result.exit_code}: {result.output!r:.200}")
