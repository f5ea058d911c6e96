"""Catalogs: the registered objects of one kind, looked up by name, alias, former name or glob."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from zoo.errors import AmbiguousNameError, InvalidEntryError, PluginError, RenamedWarning, UnknownNameError
from zoo.registry.entries import LOCAL, TARGET, Entry, Recipe, check_name, check_names, check_recipe
from zoo.registry.kinds import KINDS
from zoo.utils.signals import may_be_signal
from zoo.utils.text import close_names, did_you_mean

_SUFFIX = re.compile(r"\.[a-z0-9][a-z0-9.-]*")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Item = TypeVar("Item", bound="Entry | Recipe")


@dataclass(frozen=True, kw_only=True)
class Registered(Generic[Item]):
    """An entry or recipe with its kind and the plugin that registers it."""

    kind: str
    plugin: str
    item: Item

    @property
    def name(self) -> str:
        """Its name."""
        return self.item.name

    @property
    def qualified_name(self) -> str:
        """``plugin/name``, which is always unambiguous."""
        return f"{self.plugin}/{self.item.name}"


def resolve(registered: Registered[Entry], field: str = "target") -> Callable[..., Any]:
    """Return the target of an entry, or its ``weight_names``; import it now if it was given by name.

    Raises:
        PluginError: It cannot be imported or is not callable.
    """
    entry = registered.item
    where = f"{registered.kind} {registered.qualified_name}"
    target: object = getattr(entry, field)
    if isinstance(target, str):
        import pkgutil

        try:
            target = pkgutil.resolve_name(target)
        except BaseException as error:  # whatever a plugin's module raises on import is the plugin's error
            if isinstance(error, KeyboardInterrupt) and may_be_signal(error):
                raise
            raise PluginError(
                f"The {field} of {where} cannot be imported: {type(error).__name__}: {error}. "
                f"Fix or reinstall plugin {registered.plugin!r}. Received: {field}={getattr(entry, field)!r}",
                plugin=registered.plugin,
            ) from error
    if not callable(target):
        raise PluginError(
            f"The {field} of {where} must be callable. Received: {field}={getattr(entry, field)!r}",
            plugin=registered.plugin,
        )
    return target


def _check_callable(entry: Entry, field: str, kind: str) -> None:
    value: object = getattr(entry, field)
    if not callable(value) and not (isinstance(value, str) and TARGET.fullmatch(value)):
        raise InvalidEntryError(
            f"The {field} of {kind} {entry.name!r} must be a callable or 'package.module:name'. "
            f"Received: {field}={value!r}"
        )


class Catalog(Generic[Item]):
    """All registered objects of one kind.

    A name that more than one plugin registers is ambiguous; ``plugin/name`` always works.
    """

    def __init__(self, kind: str, item_type: type[Item]) -> None:
        """Create an empty catalog of a kind (``"model"``), with items of type ``item_type``."""
        self.kind = kind
        self.plural = KINDS[kind].plural
        self._item_type = item_type
        self._qualified: dict[str, Registered[Item]] = {}
        self._current: dict[str, list[Registered[Item]]] = {}
        self._former: dict[str, list[Registered[Item]]] = {}
        self._taken: set[str] = set()  # plugin/name of every name, alias and former name

    def __len__(self) -> int:
        """Return the number of registered objects."""
        return len(self._qualified)

    def __iter__(self) -> Iterator[Registered[Item]]:
        """Iterate over all registered objects, sorted by name, then plugin."""
        return iter(sorted(self._qualified.values(), key=lambda found: (found.name, found.plugin)))

    def check(self, item: object) -> Item:
        """Return the item if it is valid on its own, regardless of other items.

        Raises:
            InvalidEntryError: It has the wrong type, or one of its fields is invalid.
        """
        if not isinstance(item, self._item_type):
            raise InvalidEntryError(
                f"A {self.kind} must be registered as {self._item_type.__name__}(...). Received: {item!r:.200}"
            )
        for name in (item.name, *check_names(item.name, item.aliases), *check_names(item.name, item.former_names)):
            check_name(name, self.kind)
        if not isinstance(item.summary, str) or not item.summary.strip() or not item.summary.isprintable():
            raise InvalidEntryError(
                f"The summary of {self.kind} {item.name!r} must be one line of text. Received: summary={item.summary!r}"
            )
        if isinstance(item, Entry):
            _check_callable(item, "target", self.kind)
            self._check_particulars(item)
        else:
            check_recipe(item)
        return item

    def _check_particulars(self, entry: Entry) -> None:
        """Raise `InvalidEntryError` unless the fields that only some kinds have are valid."""
        count: object = entry.parameters
        is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 0
        if count is not None and (self.kind != "model" or not is_count):
            raise InvalidEntryError(
                f"'parameters' of {self.kind} {entry.name!r} must be a model's number of weights, or None. "
                f"Received: parameters={count!r}"
            )
        if entry.weight_names is not None:
            _check_callable(entry, "weight_names", self.kind)
            if self.kind != "model":
                raise InvalidEntryError(
                    f"'weight_names' of {self.kind} {entry.name!r} must be None: only models have weights. "
                    f"Received: weight_names={entry.weight_names!r}"
                )
        is_suffix = isinstance(entry.suffix, str) and bool(_SUFFIX.fullmatch(entry.suffix)) and entry.suffix != ".json"
        if is_suffix != (self.kind == "exporter") or (entry.suffix is not None and not is_suffix):
            raise InvalidEntryError(
                f"'suffix' of {self.kind} {entry.name!r} must be "
                + ("how its files' names end, such as '.onnx'. " if self.kind == "exporter" else "None. ")
                + f"Received: suffix={entry.suffix!r}"
            )
        if entry.mode is not None and (self.kind != "metric" or entry.mode not in ("min", "max")):
            raise InvalidEntryError(
                f"'mode' of {self.kind} {entry.name!r} must be a metric's 'min' or 'max', or None. "
                f"Received: mode={entry.mode!r}"
            )

    def add(self, item: Item, *, plugin: str = LOCAL) -> None:
        """Register an item.

        Raises:
            InvalidEntryError: The item is invalid, or the plugin has already registered one of its names.
        """
        registered = Registered(kind=self.kind, plugin=plugin, item=self.check(item))
        claimed: set[str] = set()
        for name in (item.name, *item.aliases, *item.former_names):
            if f"{plugin}/{name}" in self._taken or f"{plugin}/{name}" in claimed:
                raise InvalidEntryError(
                    f"Plugin {plugin!r} registers two {self.plural} with the same name. Give each a unique name. "
                    f"Received: name={name!r}"
                )
            claimed.add(f"{plugin}/{name}")
        self._taken |= claimed
        self._qualified[registered.qualified_name] = registered
        for name in (item.name, *item.aliases):
            self._current.setdefault(name, []).append(registered)
        for name in item.former_names:
            self._former.setdefault(name, []).append(registered)

    def get(self, name: str, *, prefer: str | None = None) -> Registered[Item]:
        """Look up a name, alias, former name or ``plugin/name``.

        Args:
            name: The name to look up.
            prefer: A plugin whose own objects take precedence, as they do for the names in its recipes.

        Raises:
            UnknownNameError: No object has that name.
            AmbiguousNameError: More than one plugin registers it.
        """
        if not isinstance(name, str):
            raise UnknownNameError(
                f"A {self.kind} must be given by name. To use your own object, register it first with "
                f"`registry.{self.plural}.add(...)`. Received: {self.kind}={name!r:.100}",
                kind=self.kind,
            )
        plugin, slash, bare = name.rpartition("/")
        for names, owner in self._places(plugin if slash else None, prefer):
            found = [registered for registered in names.get(bare, []) if owner in (None, registered.plugin)]
            if len(found) > 1:
                choices = sorted(registered.qualified_name for registered in found)
                raise AmbiguousNameError(
                    f"More than one plugin registers a {self.kind} named {name!r}. Use {' or '.join(choices)}. "
                    f"Received: {self.kind}={name!r}",
                    kind=self.kind,
                    name=name,
                    choices=choices,
                )
            if found:
                if names is self._former:
                    warnings.warn(
                        f"The {self.kind} {name!r} is now named {found[0].name!r}. Use the new name.",
                        RenamedWarning,
                        stacklevel=2,
                    )
                return found[0]
        close = close_names(name, sorted({*self._current, *(self._qualified if slash else ())}))
        raise UnknownNameError(
            f"No {self.kind} is named {name!r}.{did_you_mean(close)} "
            f"`zoo list {self.plural}` shows all names. Received: {self.kind}={name!r}",
            kind=self.kind,
            name=name,
            suggestions=close,
        )

    def shortest_name(self, registered: Registered[Item]) -> str:
        """Return an object's name, or ``plugin/name`` if the name is ambiguous."""
        return registered.name if len(self._current[registered.name]) == 1 else registered.qualified_name

    def _places(
        self, plugin: str | None, prefer: str | None
    ) -> list[tuple[Mapping[str, list[Registered[Item]]], str | None]]:
        """Return where to look, in order: the names, and the plugin that must own them (None for any)."""
        owners = [plugin] if plugin is not None or prefer is None else [prefer, None]
        return [(names, owner) for owner in owners for names in (self._current, self._former)]

    def find(self, pattern: str = "*") -> list[Registered[Item]]:
        """Return all objects whose name, alias or ``plugin/name`` matches a glob, sorted by name, then plugin."""
        return [
            registered
            for registered in self
            if any(
                fnmatchcase(name, pattern)
                for name in (registered.name, registered.qualified_name, *registered.item.aliases)
            )
        ]
