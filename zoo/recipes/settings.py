"""Typed settings: read them from a callable's keyword parameters, and convert text or values to their types."""

from __future__ import annotations

import inspect
import math
import sys
import types
import typing
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any

from zoo.errors import PluginError, SettingError
from zoo.recipes.type_descriptions import describe_type, name_type
from zoo.utils.plugin_errors import plugin_of
from zoo.utils.text import close_names, did_you_mean

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

REQUIRED = inspect.Parameter.empty
"""Marks a setting without a default."""


@dataclass(frozen=True, kw_only=True)
class SettingSpec:
    """One setting: its name (``"model.dropout"``), type and default (`REQUIRED` if it has none)."""

    name: str
    type: Any
    default: Any

    @property
    def type_name(self) -> str:
        """The type as written in code: ``float``, ``tuple[int, ...]``, ``'a' | 'b'``."""
        return name_type(self.type)

    @property
    def words(self) -> str:
        """The allowed values in words: ``"a number of at least 0 and below 1"``."""
        return describe_type(self.type)


def specs_of(target: Callable[..., Any], *, skip: int, prefix: str, owner: str) -> dict[str, SettingSpec]:
    """Return the settings of an entry's target (its keyword parameters), keyed by full name.

    A parameter without an annotation has the type of its default; without a default, it is text.

    Args:
        target: A function, a class or a dataclass.
        skip: Number of leading positional parameters that are not settings.
        prefix: Prefix for the parameters' names: ``"model."``.
        owner: How messages refer to the target: ``"model fashion/fashion-cnn"``.

    Raises:
        PluginError: The annotation of a parameter cannot be evaluated.
    """
    try:
        parameters = list(inspect.signature(target).parameters.values())[skip:]
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"The signature of {owner} cannot be read: {error}. Use a function or class that has one.",
            plugin=plugin_of(owner),
        ) from error
    specs = {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = parameter.default
        if is_dataclass(target):  # its signature has a placeholder for a field with a factory
            factory = next(field.default_factory for field in fields(target) if field.name == parameter.name)
            default = default if factory is MISSING else factory()
        specs[prefix + parameter.name] = SettingSpec(
            name=prefix + parameter.name,
            type=_type_of_default(default)
            if parameter.annotation is REQUIRED
            else _evaluate(
                parameter.annotation, _home(target, parameter.name), f"setting {parameter.name!r} of {owner}"
            ),
            default=default,
        )
    return specs


def _type_of_default(default: object) -> Any:
    """Return the type of a setting without an annotation: that of its default, or text."""
    if isinstance(default, bool | int | float | str):
        return type(default)
    if isinstance(default, tuple | list):
        kinds = {type(part) for part in default}
        each: Any = kinds.pop() if len(kinds) == 1 else float | str
        return tuple[each, ...]
    return str if default is REQUIRED else bool | int | float | str | None


_OTHER_NAMES = {
    "bs": "batch_size",
    "decay": "weight_decay",
    "l2": "weight_decay",
    "lr": "learning_rate",
    "n_epochs": "epochs",
    "num_epochs": "epochs",
    "smoothing": "label_smoothing",
    "wd": "weight_decay",
}
"""What settings are called elsewhere."""


def _meant(name: str, specs: Mapping[str, SettingSpec]) -> list[str]:
    """Return the settings of other components that have the name of an unknown one: ``optimizer.learning_rate``."""
    last = name.rpartition(".")[2]
    last = _OTHER_NAMES.get(last, last)
    return [known for known in specs if known.rpartition(".")[2] == last][:3]


def complete(
    specs: Mapping[str, SettingSpec], given: Mapping[str, Any], *, texts: Collection[str] = ()
) -> dict[str, Any]:
    """Return all settings: the given ones converted to their types, the others with their defaults.

    Args:
        specs: The settings that exist.
        given: Values by name.
        texts: Names of settings whose values, if they are strings, are parsed as on a command line.

    Raises:
        SettingError: A setting does not exist, its value is not allowed, or it is missing and has no default.
        PluginError: A default does not fit the type of its setting.
    """
    for name, value in given.items():
        if name not in specs:
            close = _meant(name, specs) or close_names(name, list(specs))
            raise SettingError(
                f"There is no setting {name!r}.{did_you_mean(close) or ' The settings are: ' + ', '.join(specs) + '.'} "
                f"Received: {name}={value!r}",
                name=name,
                value=value,
                suggestions=close,
            )
    values = {}
    for name, spec in specs.items():
        if name in given:
            values[name] = convert(given[name], spec, from_text=name in texts)
        elif spec.default is REQUIRED:
            raise SettingError(f"Setting {name!r} has no default. Give it a value: {spec.words}.", name=name)
        else:
            try:
                values[name] = convert(spec.default, spec)
            except SettingError as error:
                raise PluginError(f"The default of a setting does not match its type. {error}") from error
    return values


def setting_text(value: Any) -> str:
    """Return the value of a setting as written after ``--set``: ``32,64``, ``true``, ``none``."""
    if isinstance(value, list | tuple):
        return ",".join(map(setting_text, value))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def convert(value: Any, spec: SettingSpec, *, from_text: bool = False) -> Any:
    """Return a value converted to the type of a setting.

    Args:
        value: The value.
        spec: The setting. If its type is a union, the first type that accepts the value wins.
        from_text: Whether to parse a string as on a command line, with commas for lists (``32,64``) and ``none`` for
            None.

    Raises:
        SettingError: The value has another type, is out of bounds or not finite, or cannot be recorded in a run.
    """
    import msgspec

    reasons = []
    # try the alternatives one by one: msgspec 0.22 crashes on `Rate | tuple[Rate, Rate]` where Rate has bounds
    for alternative in _alternatives(spec.type):
        try:
            return _convert(value, alternative, from_text=from_text and isinstance(value, str))
        except msgspec.ValidationError:
            continue  # the description of the type says enough
        except (TypeError, ValueError) as error:
            reasons.append(f": {error}")
    said = "".join(dict.fromkeys(reasons))
    raise SettingError(
        f"Setting {spec.name!r} must be {spec.words}{said}. Received: {spec.name}={value!r}",
        name=spec.name,
        value=value,
    )


def _convert(value: Any, annotation: Any, *, from_text: bool) -> Any:
    import msgspec

    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()  # a NumPy scalar as a Python number
    if from_text and value.lower() == "none" and annotation is type(None):
        value = None
    elif from_text and _outer(annotation) in (tuple, list):
        value = [part.strip() for part in value.split(",") if part.strip()]
    converted = msgspec.convert(value, annotation, strict=not from_text)
    for part in converted if isinstance(converted, tuple | list) else (converted,):
        if not isinstance(part, bool | int | float | str | None):
            raise TypeError("a run can record only numbers, strings, booleans, None and flat lists of these")
        if isinstance(part, float) and not math.isfinite(part):
            raise ValueError("the value must be finite")
    return converted


def _home(target: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return the object that defines a parameter: for a dataclass, the class whose body contains the field."""
    if is_dataclass(target) and isinstance(target, type):
        return next((kind for kind in target.__mro__ if name in vars(kind).get("__annotations__", {})), target)
    return target


def _evaluate(annotation: Any, target: Callable[..., Any], what: str) -> Any:
    """Return one annotation as a type: evaluated alone, so that a name known only to type checkers affects no other."""
    function = inspect.unwrap(target)
    module = sys.modules.get(getattr(function, "__module__", ""))
    namespace = getattr(function, "__globals__", None) or vars(module or types.ModuleType("empty"))
    holder = types.SimpleNamespace(__annotations__={"setting": annotation})
    try:
        return typing.get_type_hints(holder, globalns=namespace, include_extras=True)["setting"]
    except (NameError, SyntaxError, TypeError, AttributeError) as error:
        raise PluginError(
            f"The annotation of {what} cannot be evaluated: {error}. Fix it; the names in it must be imported at run "
            f"time. Received: annotation={annotation!r}",
            plugin=plugin_of(what),
        ) from error


def _alternatives(annotation: Any) -> list[Any]:
    """Return the alternatives of an annotation: ``float | list[int]`` has two."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [alternative for argument in typing.get_args(annotation) for alternative in _alternatives(argument)]
    return [annotation]


def _outer(annotation: Any) -> Any:
    """Return a type without its parameters and without ``Annotated`` metadata."""
    origin = typing.get_origin(annotation)
    return _outer(typing.get_args(annotation)[0]) if origin is typing.Annotated else origin or annotation
