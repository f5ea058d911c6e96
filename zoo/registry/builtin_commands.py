"""The core's own commands, as entries: listed without being imported, and their names are taken."""

from __future__ import annotations

from zoo.registry.entries import Entry

PLUGIN = "zoo"
"""The plugin name of the core's own commands."""

COMMANDS = (
    Entry(name="run", target="zoo.cli.run:run", summary="Train, save, load and test a recipe."),
    Entry(name="train", target="zoo.cli.run:train", summary="Train a recipe and save the model."),
    Entry(name="resume", target="zoo.cli.run:resume", summary="Go on with a run that was stopped."),
    Entry(name="test", target="zoo.cli.run:test", summary="Load the model of a run and test it."),
    Entry(
        name="record",
        target="zoo.cli.reproduce:record",
        summary="Write down what a recipe came to with several seeds.",
    ),
    Entry(
        name="reproduce",
        target="zoo.cli.reproduce:reproduce",
        summary="Train a recipe again: does what is recorded hold?",
    ),
    Entry(name="list", target="zoo.cli.list_show:list_", summary="List what is registered."),
    Entry(name="plugins", target="zoo.cli.plugins:plugins", summary="List the plugins, and why one was left out."),
    Entry(name="check", target="zoo.cli.plugins:check", summary="Check that a plugin does all that a plugin must."),
    Entry(name="new", target="zoo.cli.plugins:new", summary="Write a plugin project to start from."),
    Entry(
        name="completion",
        target="zoo.cli.completion:completion",
        summary="Print what makes a shell complete commands and names.",
    ),
    Entry(name="show", target="zoo.cli.list_show:show", summary="Show what a name stands for and its settings."),
)
