"""The built-in commands as registry entries: listed without being imported. Plugins cannot use their names."""

from __future__ import annotations

from zoo.registry.entries import Entry

PLUGIN = "zoo"
"""The plugin name of the built-in commands."""

COMMANDS = (
    Entry(name="run", target="zoo.cli.run:run", summary="Train, save, load and test a recipe."),
    Entry(name="train", target="zoo.cli.run:train", summary="Train a recipe and save the model."),
    Entry(name="resume", target="zoo.cli.run:resume", summary="Resume a stopped run."),
    Entry(name="test", target="zoo.cli.run:test", summary="Load the model of a run, or an exported file, and test it."),
    Entry(name="import", target="zoo.cli.import_weights:import_", summary="Import weights of another program."),
    Entry(
        name="record",
        target="zoo.cli.reproduce:record",
        summary="Record a recipe's results across multiple seeds.",
    ),
    Entry(
        name="reproduce",
        target="zoo.cli.reproduce:reproduce",
        summary="Train a recipe again and check its recorded results.",
    ),
    Entry(
        name="list",
        target="zoo.cli.listing:list_",
        summary="List registered recipes, models, datasets and more.",
    ),
    Entry(name="plugins", target="zoo.cli.plugins:plugins", summary="List plugins, and why any was not loaded."),
    Entry(name="check", target="zoo.cli.plugins:check", summary="Check everything that a plugin registers."),
    Entry(name="new", target="zoo.cli.plugins:new", summary="Create a plugin project."),
    Entry(
        name="completion",
        target="zoo.cli.completion:completion",
        summary="Print a shell completion script.",
    ),
    Entry(
        name="show",
        target="zoo.cli.show:show",
        summary="Show the settings of a registered object.",
    ),
)
