"""Completion of names at a shell: from the registry, so without importing anything heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from zoo.cli.context import Session
from zoo.registry.entries import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

SHELLS = ("bash", "fish", "zsh")


@click.command(short_help="Print what makes a shell complete commands and names.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and names.

    \b
    bash:  source <(zoo completion bash)            in ~/.bashrc
    zsh:   source <(zoo completion zsh)             in ~/.zshrc
    fish:  zoo completion fish | source             in ~/.config/fish/config.fish
    """  # noqa: D301  # click wants the control character
    found = get_completion_class(shell)
    if found is None:
        raise click.BadParameter(f"{shell!r} is none of {', '.join(SHELLS)}.")
    click.echo(found(ctx.find_root().command, {}, "zoo", "_ZOO_COMPLETE").source())


def complete_names(*kinds: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return a completer for the names of some kinds; a name that several plugins use comes with its plugin."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        catalogs = ctx.find_root().ensure_object(Session).registry.catalogs
        items: dict[str, CompletionItem] = {}
        for kind in kinds:
            for registered in catalogs[kind]:
                short = catalogs[kind].shortest_name(registered)
                name = registered.qualified_name if "/" in incomplete else short
                if name.startswith(incomplete) or (name != registered.name and registered.name.startswith(incomplete)):
                    items.setdefault(name, CompletionItem(name, help=registered.item.summary))
        return list(items.values())

    return complete


def complete_anything(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of any kind of thing."""
    return complete_names(*KINDS)(ctx, parameter, incomplete)


def complete_kinds(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``recipes``, ``models``, ..."""
    return [CompletionItem(f"{kind}s") for kind in KINDS if kind.startswith(incomplete.removesuffix("s"))]


def complete_plugins(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a plugin."""
    plugins = ctx.find_root().ensure_object(Session).registry.plugins
    return [CompletionItem(name) for name in plugins if name.startswith(incomplete)]
