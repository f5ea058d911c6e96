"""The command line: a click group that looks up its commands in the registry and turns errors into exit statuses."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem

from zoo.cli.context import Session
from zoo.cli.streams import detach_stderr, discard_pending_output
from zoo.errors import UnknownNameError, ZooError, ZooWarning
from zoo.registry import builtin_commands
from zoo.registry.catalog import Registered, resolve
from zoo.utils import threads
from zoo.utils.keras_import import silence_native_stderr
from zoo.utils.signals import StopRequested, end_on_signals, ignore_signals
from zoo.utils.text import printable, suggest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo.registry.entries import Entry

_OTHER_OPTIONS = {
    "--augmentation": "--augment",
    "--augmentations": "--augment",
    "--batch": "--batch-size",
    "--bs": "--batch-size",
    "--callbacks": "--callback",
    "--data": "--dataset NAME or --data-dir PATH",
    "--dropout": "--set model.dropout=VALUE",
    "--early-stopping": "--callback early-stopping",
    "--label-smoothing": "--set loss.label_smoothing=VALUE",
    "--learning-rate": "--set optimizer.learning_rate=VALUE",
    "--lr": "--set optimizer.learning_rate=VALUE",
    "--metrics": "--metric",
    "--momentum": "--set optimizer.momentum=VALUE",
    "--name": "--out",
    "--opt": "--optimizer",
    "--output": "--out",
    "--patience": "--callback early-stopping --set callback.early-stopping.patience=VALUE",
    "--scheduler": "--schedule",
    "--wd": "--set optimizer.weight_decay=VALUE",
    "--weight-decay": "--set optimizer.weight_decay=VALUE",
    "--weights": "--init SOURCE to start from weights, or --resume to continue a run",
}
"""What options that people bring along are called here."""

_LONGEST = 1500  # characters of an error line; longer ones are shortened


class _CommandGroup(click.Group):
    """A click group whose commands are registry entries, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands; qualified names where plugins share a name."""
        return list(_summaries(ctx))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name."""
        try:
            registered = _own(cmd_name) or ctx.ensure_object(Session).registry.commands.get(cmd_name)
        except UnknownNameError:
            return None
        with silence_native_stderr():
            command = resolve(registered)
        if not isinstance(command, click.Command):
            raise ZooError(
                f"Command {registered.qualified_name!r} is not a click command. Fix the target of its entry. "
                f"Received: target={command!r:.200}"
            )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments call, or fail and suggest similar names."""
        command = self.get_command(ctx, args[0])
        if command is None and not args[0].startswith("-"):
            hint = suggest(args[0], self.list_commands(ctx)) or " Run `zoo --help` to list all commands."
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return (args[0], command, args[1:]) if command is not None else super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """Call the command. Its return value is not an exit status."""
        super().invoke(ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete options and command names without importing any command."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=summary)
            for name, summary in _summaries(ctx).items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their entries' summaries, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_summaries(ctx).items()))


def _own(name: str) -> Registered[Entry] | None:
    """Return a built-in command, or None. Built-in commands work without loading any plugin."""
    for entry in builtin_commands.COMMANDS:
        if entry.name == name:
            return Registered(kind="command", plugin=builtin_commands.PLUGIN, item=entry)
    return None


def _summaries(ctx: click.Context) -> dict[str, str]:
    commands = ctx.ensure_object(Session).registry.commands
    return {commands.shortest_name(registered): registered.item.summary for registered in commands}


def _load_files(ctx: click.Context, _: click.Parameter, files: tuple[Path, ...]) -> None:
    ctx.ensure_object(Session).plugin_files = files


@click.group(cls=_CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keras-zoo", message="zoo %(version)s")
@click.option(
    "--plugin",
    "plugin_files",
    metavar="FILE.py",
    multiple=True,
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_load_files,
    help="Load this Python file as a plugin, in addition to the installed ones. May be repeated.",
)
@click.option("--traceback", is_flag=True, help="Show the full traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, traceback: bool) -> None:
    """Train, save, load and test image classifiers with Keras.

    Any registered model runs on any registered dataset. Plugins register models, datasets, trainers, optimizers,
    metrics, callbacks, recipes, commands and more.

    \b
    Examples:
      zoo list recipes
      zoo run fashion-cnn --epochs 1
      zoo run --help
    """
    ctx.ensure_object(Session).traceback |= traceback


def main(arguments: Sequence[str] | None = None, session: Session | None = None) -> NoReturn:
    """Run the command line and exit: 0 success, 1 error, 2 usage error, 130 interrupted, 143 terminated.

    Args:
        arguments: Arguments after ``zoo``; by default the process's.
        session: State that the commands share; by default a new one with all installed plugins.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["MPLBACKEND"] = "agg"  # plots go to files, even if a notebook sets another backend
    detach_stderr()
    if threading.current_thread() is threading.main_thread():
        end_on_signals()
    session = session or Session()
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")  # libraries' warnings to developers
            warnings.simplefilter("always", ZooWarning)
        warnings.showwarning = _WarningsOnce()
        if "_ZOO_COMPLETE" in os.environ:
            session.is_completing = True
            warnings.simplefilter("ignore")  # a shell would show them in the middle of the completed line
        status = _status(arguments, session)
    discard_pending_output()
    if arguments is None:  # we own the process, and Python would wait for threads
        if threads.are_left():
            os._exit(status)
        threads.end_despite_threads(status, lambda text: _say(f"Warning: {text}"))
    sys.exit(status)


def _status(arguments: Sequence[str] | None, session: Session) -> int:
    try:
        result: Any = cli.main(
            args=None if arguments is None else list(arguments), prog_name="zoo", standalone_mode=False, obj=session
        )
    except click.NoSuchOption as error:
        if instead := _OTHER_OPTIONS.get(error.option_name):
            text = f"No such option '{error.option_name}'. Use {instead}."
            error = click.NoSuchOption(error.option_name, message=text, ctx=error.ctx)
        error.show()
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        return _stopped(error)
    except Exception as error:
        if isinstance(error, OSError) and isinstance(error.__context__, StopRequested):  # click lost the terminal
            return _stopped(error)
        if session.traceback:
            from traceback import print_exc

            print_exc()
        elif isinstance(error, ZooError):
            _say(f"Error: {error}")
        elif isinstance(error, OSError) and _is_of_echo(error):
            _say(f"Error: Cannot write to standard output: {error.strerror}. Redirect it to a writable file.")
        else:
            _say(f"Error: {type(error).__name__}: {error} (run `zoo --traceback ...` for the traceback)")
        return 1
    return result if isinstance(result, int) else 0


def _is_of_echo(error: OSError) -> bool:
    """Return whether the error comes from `click.echo`, which writes the output of commands."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and at.tb_frame.f_code is click.echo.__code__


def _stopped(error: BaseException) -> int:
    """Print the state of the interrupted work and return the exit status."""
    ignore_signals()  # the process is about to exit
    stopped = next((each for each in (error, error.__context__) if isinstance(each, StopRequested)), None)
    stopped = stopped or StopRequested(signal.SIGINT)
    _say(str(stopped))
    return stopped.exit_status


def _say(text: str) -> None:
    """Print a line to standard error, without control characters that quoted text may contain."""
    line = printable(text)
    if len(line) > _LONGEST:  # quoted text may be of any length
        line = f"{line[: _LONGEST * 2 // 3]} ... {line[-_LONGEST // 4 :]}"
    with contextlib.suppress(OSError):  # no reader is left; do not raise another error
        click.echo(line, err=True)


class _WarningsOnce:
    """Prints each distinct warning once, on one line."""

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def __call__(self, message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        prefix = "Warning" if issubclass(category, ZooWarning) else category.__name__
        line = f"{prefix}: {message}"
        if line not in self._shown:
            self._shown.add(line)
            _say(line)
