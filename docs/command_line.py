"""Print the reference of the command line, made from the program.

Usage: python docs/command_line.py > docs/command-line.md
"""

from __future__ import annotations

from typing import Any

from zoo import cli
from zoo.cli.context import Session
from zoo.registry import builtin_commands

HEAD = """\
# The command line

Made from the program by `python docs/command_line.py > docs/command-line.md`; a test compares the two.

Results go to standard output; progress, warnings and errors to standard error. A terminal gets a live bar; where
standard error is not a terminal, is narrower than 60 columns, or `NO_COLOR` is set, there is plain text without control
codes.

| exit status | means |
|---|---|
| 0 | done |
| 1 | something is not as it must be: one line says what, and the cure; `--traceback` shows where |
| 2 | wrong usage |
| 130, 143, 129 | interrupted: with Ctrl-C, with SIGTERM, by a terminal that went away |

| variable | does |
|---|---|
| `ZOO_PLUGINS=a,b` | loads only these plugins besides ours; empty: only ours |
| `ZOO_STRICT=1` | makes a plugin that fails to load an error |
| `ZOO_PLUGIN_SECONDS=10` | how long the import of a plugin may take |
| `ZOO_KEEP_MEMORY=0` | makes processes that train return freed memory to the system:\
 [what keeping it costs](speed.md#memory) |
| `KERAS_BACKEND`, `OMP_NUM_THREADS`, `TF_NUM_INTRAOP_THREADS`, `TF_NUM_INTEROP_THREADS`,\
 `TF_ENABLE_ONEDNN_OPTS`, `ONEDNN_MAX_CPU_ISA`, `XLA_FLAGS`\
 | as Keras and its backend read them; recorded in `run.json` |

## JSON

`zoo run --json` and `zoo train --json` print one object; `test` is null after `train`, and `validation` is null
without a validation split:

```
{"recipe", "run", "model": {"name", "plugin", "parameters"}, "dataset": {"name", "train", "validation", "test"},
 "epochs", "best_epoch", "validation": {"loss", "accuracy"}, "test": {"loss", "accuracy"},
 "seconds": {"train", "total"}}
```

`zoo test --json` prints the same without `epochs`, `best_epoch`, `validation` and `seconds.train`. `zoo list --json`
prints an array of `{"kind", "name", "plugin", "summary", "aliases", "recorded"}`; `recorded` is null or
`{"test_accuracy", "parameters", "seconds", "processor", "accelerator", "weights"}`. `zoo show RECIPE
--json` has, among others, `"settings"` and `"auto_precision"`: null, or what a precision of `auto` is on this
processor.
"""


def reference() -> str:
    """Return the page: the head, then the help of ``zoo``, of its own commands and of those of our plugins."""
    session = Session()
    from zoo import load_registry

    session.registry = load_registry({"ZOO_PLUGINS": ""})
    widths: dict[str, Any] = {"terminal_width": 100, "max_content_width": 100}
    root = cli.cli.make_context("zoo", ["list"], obj=session, resilient_parsing=True, **widths)
    sections = [HEAD, f"## zoo\n\n```text\n{root.get_help()}\n```\n"]
    own = [entry.name for entry in builtin_commands.COMMANDS]
    plugins = [found.name for found in session.registry.commands if found.plugin != builtin_commands.PLUGIN]
    for name in own + plugins:
        command = cli.cli.get_command(root, name)
        if command is None:
            raise LookupError(name)
        context = command.make_context(name, [], parent=root, resilient_parsing=True, **widths)
        sections.append(f"## zoo {name}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201  # what it is for
