"""The core's own commands, as entries: listed without being imported, and their names are taken."""

from __future__ import annotations

from zoo.interfaces import Entry

PLUGIN = "zoo"
"""The plugin name of the core's own commands."""

COMMANDS = (
    Entry(name="run", target="zoo.cli.cycle:run", summary="Train, save, load and test a recipe."),
    Entry(name="train", target="zoo.cli.cycle:train", summary="Train a recipe and save the model."),
    Entry(name="resume", target="zoo.cli.cycle:resume", summary="Go on with a run that was stopped."),
    Entry(name="test", target="zoo.cli.cycle:test", summary="Load the model of a run and test it."),
    Entry(
        name="record",
        target="zoo.cli.reproduction:record",
        summary="Write down what a recipe came to with several seeds.",
    ),
    Entry(
        name="reproduce",
        target="zoo.cli.reproduction:reproduce",
        summary="Train a recipe again: does what is recorded hold?",
    ),
    Entry(name="list", target="zoo.cli.browse:list_", summary="List what is registered."),
    Entry(name="plugins", target="zoo.cli.authors:plugins", summary="List the plugins, and why one was left out."),
    Entry(name="check", target="zoo.cli.authors:check", summary="Check that a plugin does all that a plugin must."),
    Entry(name="new", target="zoo.cli.authors:new", summary="Write a plugin project to start from."),
    Entry(
        name="completion",
        target="zoo.cli.complete:completion",
        summary="Print what makes a shell complete commands and names.",
    ),
    Entry(name="show", target="zoo.cli.browse:show", summary="Show what a name stands for and its settings."),
)
