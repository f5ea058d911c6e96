"""Shell completion of names: read from the registry, so nothing heavy is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class

from zoo.cli.context import Session
from zoo.registry.kinds import KINDS, TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

SHELLS = ("bash", "fish", "zsh")


@click.command(short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that makes your shell complete commands, options and names.

    Add the line for your shell to its startup file:

    \b
    bash:  source <(zoo completion bash)            in ~/.bashrc
    zsh:   source <(zoo completion zsh)             in ~/.zshrc
    fish:  zoo completion fish | source             in ~/.config/fish/config.fish
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.BadParameter(f"{shell!r} is not one of {', '.join(SHELLS)}.")
    click.echo(found(ctx.find_root().command, {}, "zoo", "_ZOO_COMPLETE").source())


def complete_names(*kinds: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return a completer for names of these kinds; a name that plugins share is completed to ``plugin/name``."""

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


def complete_pretrained(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a recipe that ships with trained weights."""
    recipes = ctx.find_root().obj.registry.recipes
    names = {recipes.shortest_name(found): found.item for found in recipes if found.item.trained}
    return [CompletionItem(name, help=item.summary) for name, item in names.items() if name.startswith(incomplete)]


def complete_anything(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a name of any kind."""
    return complete_names(*KINDS)(ctx, parameter, incomplete)


def complete_kinds(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete ``recipes``, ``models``, ..."""
    return [CompletionItem(kind.plural) for kind in TABLE if kind.plural.startswith(incomplete)]


def complete_plugins(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a plugin name."""
    plugins = ctx.find_root().ensure_object(Session).registry.plugins
    return [CompletionItem(name) for name in plugins if name.startswith(incomplete)]
