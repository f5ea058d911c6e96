"""Plugins: found through entry points, each loaded alone, taken whole or not at all."""

from __future__ import annotations

import builtins
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import zoo
from tests.support.golden import Golden
from tests.support.installed_plugins import GOOD, OURS, Install, Program, load, names, without_module
from zoo import PluginError, Recipe, Registry
from zoo.cli import main
from zoo.registry import discovery
from zoo.registry.plugin import Plugin
from zoo.registry.plugin_loader import collect_registrations


def test_ours_are_found_like_anybody_s() -> None:
    registry, complaints = load(ZOO_PLUGINS="")
    assert complaints == []
    assert sorted(registry.plugins) == [
        "backbones",
        "bench",
        "data",
        "export",
        "fashion",
        "images",
        "keras",
        "metrics",
        "ray",
        "results",
        "serve",
        "sweep",
        "track",
        "vision",
    ]
    assert {plugin.version for plugin in registry.plugins.values()} == {zoo.__version__}
    for name in ("fashion/fashion-mnist", "fashion/fashion-cnn", "keras/fit", "vision/resnet-20", "zoo/run"):
        assert name in OURS


def test_installed_plugin_registers(install: Install) -> None:
    install("mine", GOOD)
    registry, complaints = load()
    assert complaints == []
    assert registry.models.get("tiny-net").plugin == "mine"
    assert registry.plugins["mine"].version == "1.5"


BROKEN = {
    "import error": "import no_such_package",
    "syntax error": "def",
    "system exit": "raise SystemExit(3)",
    "hook raises": GOOD.replace("return [", "1 / 0; return ["),
    "hook wants too much": GOOD.replace("register_models()", "register_models(flavour)"),
    "hook of callbacks that takes the run": GOOD.replace("register_models()", "register_callbacks(run)"),
    "hook of trackers": GOOD.replace("register_models", "register_trackers"),
    "misspelt hook": GOOD.replace("register_models", "register_modles"),
    "bad name": GOOD.replace("tiny-net", "Tiny/Net"),
    "bad target": GOOD.replace("operator:eq", "operator.eq"),
    "not an entry": GOOD.replace("return [", "return ['tiny-net'] + ["),
    "no list": GOOD.replace("return [", "return 7 or ["),
    "generator fails half-way": GOOD.replace("return [", "yield from [").rstrip() + "\n    1 / 0\n",
    "one name twice": GOOD.replace("return [", "return 2 * ["),
    "not marked": GOOD.replace("@hookimpl\n", ""),
    "recipe with a function": GOOD.replace("Entry, hookimpl", "Recipe, hookimpl")
    .replace("models", "recipes")
    .replace(
        'Entry(name="tiny-net", target="operator:eq", summary="Tiny.")',
        'Recipe(name="r", summary="R.", dataset="fashion-mnist", model=len, trainer="fit", epochs=1, batch_size=1)',
    ),
    "recipe with another best": GOOD.replace("Entry, hookimpl", "Recipe, hookimpl")
    .replace("models", "recipes")
    .replace(
        'Entry(name="tiny-net", target="operator:eq", summary="Tiny.")',
        'Recipe(name="r", summary="R.", dataset="fashion-mnist", model="fashion-cnn", trainer="fit", epochs=1, '
        "batch_size=1, monitor=7)",
    ),
    "recipe with a text for a list": GOOD.replace("Entry, hookimpl", "Recipe, hookimpl")
    .replace("models", "recipes")
    .replace(
        'Entry(name="tiny-net", target="operator:eq", summary="Tiny.")',
        'Recipe(name="r", summary="R.", dataset="fashion-mnist", model="fashion-cnn", trainer="fit", epochs=1, '
        'batch_size=1, metrics="f1")',
    ),
    "recipe with no callback of that name": GOOD.replace("Entry, hookimpl", "Recipe, hookimpl")
    .replace("models", "recipes")
    .replace(
        'Entry(name="tiny-net", target="operator:eq", summary="Tiny.")',
        'Recipe(name="r", summary="R.", dataset="fashion-mnist", model="fashion-cnn", trainer="fit", epochs=1, '
        'batch_size=1, callbacks=("early-stoping",))',
    ),
    "mode that is none": GOOD.replace("models", "metrics").replace('summary="Tiny."', 'summary="Tiny.", mode="best"'),
    "model with a mode": GOOD.replace('summary="Tiny."', 'summary="Tiny.", mode="max"'),
    "recipe with no epochs": GOOD.replace("Entry, hookimpl", "Recipe, hookimpl")
    .replace("models", "recipes")
    .replace(
        'Entry(name="tiny-net", target="operator:eq", summary="Tiny.")',
        'Recipe(name="r", summary="R.", dataset="fashion-mnist", model="fashion-cnn", trainer="fit", epochs=0, '
        "batch_size=1)",
    ),
    "hook returns nothing": GOOD.replace("return [", "[").rstrip(),
    "hook returns an entry": GOOD.replace("return [", "return ").replace(")]", ")"),
    "no hooks": "x = 1",
    "error without a message": "class Odd(Exception):\n    def __str__(self):\n        return 1 / 0\nraise Odd",
    "long error with colors": "raise ValueError('\\x1b[31m' + 'x' * 100_000)",
    "alias of core's command": GOOD.replace("models", "commands").replace(
        'summary="Tiny."', 'summary="Tiny.", aliases=("run",)'
    ),
    "core's command": GOOD.replace("models", "commands").replace("tiny-net", "run"),
    "recipe of nothing": GOOD.replace("Entry, hookimpl", "Entry, Recipe, hookimpl")
    + """
@hookimpl
def register_recipes():
    return [Recipe(name="r", summary="R.", dataset="fashion-mnist", model="fashion-cn", trainer="fit", epochs=1,
                   batch_size=1)]
""",
}
BY_OTHERS = {
    "syntax error": "SyntaxError",
    "hook wants too much": "flavour",
    "hook of callbacks that takes the run": "register_callbacks(run)",
    "no list": "TypeError",
}
"""What a message must have where the rest are words of Python's or pluggy's, which change with their versions."""


# each case starts five processes; one of each stage at which a plugin fails is enough by default
FIRST = ("hook raises", "import error", "misspelt hook", "no list", "one name twice", "bad target")


@pytest.mark.parametrize(
    "name", [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in BROKEN]
)
def test_broken_plugin_breaks_no_command(install: Install, program: Program, name: str) -> None:
    install("broken", BROKEN[name])
    install("healthy", GOOD)
    listed, warned = program.names()
    assert listed == ["healthy/tiny-net"]
    assert warned.count("\n") == 1
    assert warned.startswith("Warning: ")
    assert "'broken'" in warned
    out, err = program("plugins", "--json")
    (reason,) = [row["error"] for row in json.loads(out) if row["name"] == "broken"]
    assert reason in warned
    assert err == ""
    out, err = program("plugins")
    assert [line for line in out.splitlines() if line.startswith("broken ") and reason in line]
    assert err == ""
    assert "tiny-net" in program("show", "healthy/tiny-net", "--json")[0]
    out, err = program("list", status=1, ZOO_STRICT="1")
    assert (out, err.count("\n"), err.startswith("Error: "), reason in err) == ("", 1, True, True)


def test_names_on_the_command_line(install: Install, program: Program, golden: Golden) -> None:
    install("a", GOOD.replace('summary="Tiny."', 'summary="Tiny.", aliases=("wee",), former_names=("small-net",)'))
    install("b", GOOD)
    assert program.names() == (["a/tiny-net", "b/tiny-net"], "")
    _, err = program("run", "fashion-cnn", "--model", "tiny-net", status=1)
    assert "a/tiny-net" in err
    assert "b/tiny-net" in err
    golden.says(err)
    for name in ("a/tiny-net", "b/tiny-net", "wee"):
        assert json.loads(program("show", name, "--json")[0])[0]["name"] == "tiny-net"
    golden.says(program("show", "small-net", "--json")[1])
    assert "small-net" not in program("list")[0]
    assert program.names(ZOO_PLUGINS="b") == (["b/tiny-net"], "")
    assert program.names(ZOO_PLUGINS="") == ([], "")
    _, err = program.names(ZOO_PLUGINS="bb,b")
    golden.says(err)


@pytest.mark.parametrize("name", ["fashion", "zoo", "local"])
def test_taken_plugin_name_on_the_command_line(install: Install, program: Program, golden: Golden, name: str) -> None:
    install(name, GOOD)
    listed, err = program.names()
    assert listed == []
    assert err.count("\n") == 1
    golden.says(without_module(err))


def test_slow_plugin_on_the_command_line(install: Install, program: Program, golden: Golden) -> None:
    install("slow", "import time; time.sleep(60)")
    install("healthy", GOOD)
    listed, err = program.names(ZOO_PLUGIN_SECONDS="0.2")
    assert listed == ["healthy/tiny-net"]
    (line,) = [line for line in err.splitlines() if "'slow'" in line]
    golden.says(without_module(line))


@pytest.mark.parametrize("name", BROKEN)
def test_broken_plugin_adds_nothing_and_is_told_once(install: Install, golden: Golden, name: str) -> None:
    install("broken", BROKEN[name])
    install("healthy", GOOD)
    registry, complaints = load()
    assert [name for name in names(registry) if name not in OURS] == ["healthy/tiny-net"]
    assert len(complaints) == 1
    assert complaints[0].isprintable()
    assert len(complaints[0]) < 600
    assert registry.plugins["broken"].error is not None
    assert registry.plugins["broken"].error in complaints[0]
    if name in BY_OTHERS:
        assert BY_OTHERS[name] in complaints[0]
    else:
        golden.says(without_module(complaints[0]))

    with pytest.raises(PluginError) as raised:
        zoo.load_registry({"ZOO_STRICT": "1"})
    assert raised.value.plugin == "broken"


def test_warning_filters_of_a_plugin_are_its_own(install: Install) -> None:
    install("a-quiet", "import warnings\nwarnings.filterwarnings('ignore')\n" + GOOD)
    install("b-strict", "import warnings\nwarnings.simplefilter('error')\n" + GOOD.replace("tiny", "small"))
    install("c-broken", "1 / 0")
    registry, complaints = load()
    assert len(complaints) == 1
    assert "'c-broken'" in complaints[0]
    assert {"a-quiet/tiny-net", "b-strict/small-net"} <= set(names(registry))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("entry_points.txt", b"[zoo]\nmine = \xff\n"),
        ("entry_points.txt", b"[zoo]\nno equals sign\n"),
        ("METADATA", b"Name: x\nAuthor: \xe9\n"),
    ],
    ids=["entry points are no text", "no equals sign", "metadata are no text"],
)
def test_metadata_that_cannot_be_read_hurts_nobody_else(
    install: Install, golden: Golden, tmp_path: Path, file: str, content: bytes
) -> None:
    install("mine", GOOD, "mangled")
    (tmp_path / "mangled-1.5.dist-info" / file).write_bytes(content)
    install("healthy", GOOD)
    registry, complaints = load()
    assert registry.models.get("tiny-net").plugin == "healthy"
    assert len(complaints) == 1
    golden.says(complaints[0])


def test_plugin_in_an_archive_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("packed_plugin.py", GOOD)
        file.writestr("packed-2.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: packed\nVersion: 2.0\n")
        file.writestr("packed-2.0.dist-info/entry_points.txt", "[zoo]\npacked = packed_plugin\n")
    monkeypatch.syspath_prepend(archive)
    registry, complaints = load()
    assert complaints == []
    assert registry.models.get("tiny-net").plugin == "packed"


class FindsNothing:
    """An import hook, who may have distributions anywhere, but has none."""

    was_asked = False

    def find_spec(self, *_: object) -> None:
        """Find no module."""

    def find_distributions(self, *_: object) -> list[metadata.Distribution]:
        self.was_asked = True
        return []


def test_folders_are_read_as_the_standard_library_does(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good", GOOD)
    install("with-extras", GOOD, "other-name")
    points = tmp_path / "other-name-1.5.dist-info" / "entry_points.txt"
    points.write_text(
        "# [zoo]\n[console_scripts]\nx = y:z\n\n"
        "[zoo]\n# no = plugin\n\n  one=builtins:str.upper [a,b]\ntwo = builtins \n[a]\nb=c"
    )
    with monkeypatch.context() as patched:
        patched.setattr(metadata, "distributions", lambda: pytest.fail("the standard library was asked"))
        ours = discovery.discover()
    assert {"good", "one", "two"} <= {one.name for one in ours}
    assert [one.load() for one in ours if one.name in ("one", "two")] == [str.upper, builtins]
    hook = FindsNothing()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, hook])
    by_library = discovery.discover()
    assert hook.was_asked
    assert [(one.name, one.package, one.version, one.error) for one in ours] == [
        (one.name, one.package, one.version, one.error) for one in by_library
    ]
    known = {(point.name, point.value) for point in metadata.entry_points(group="zoo")}
    assert {(one.name, one.source) for one in ours} == known


def test_entry_point_that_names_nothing_is_the_plugin_s_fault(install: Install, golden: Golden, tmp_path: Path) -> None:
    install("odd", GOOD, "odd")
    (tmp_path / "odd-1.5.dist-info" / "entry_points.txt").write_text("[zoo]\nodd = not a module!\n")
    registry, complaints = load()
    assert registry.plugins["odd"].error
    golden.says(complaints[0])


def test_metadata_may_lack(install: Install, tmp_path: Path) -> None:
    install("mine", GOOD, "lacking")
    (tmp_path / "lacking-1.5.dist-info" / "METADATA").unlink()
    registry, complaints = load()
    assert complaints == []
    assert registry.plugins["mine"].version == "unknown"


def test_ctrl_c_is_not_a_plugin_s_fault(install: Install) -> None:
    install("slow", "import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a command before may have ignored it
    try:
        with pytest.raises(KeyboardInterrupt):
            zoo.load_registry({})
    finally:
        signal.signal(signal.SIGINT, before)


ENDLESS = """
import itertools
from zoo import Entry, hookimpl
@hookimpl
def register_models():
    return (Entry(name=f"net-{n}", target="operator:eq", summary="Tiny.") for n in itertools.count())
"""


@pytest.mark.parametrize(
    "code",
    [
        "raise KeyboardInterrupt",
        "import os; os.environ['KERAS_BACKEND'] = 'torch'" + GOOD,
        ENDLESS,
        "while True: pass",
        "items = []\nwhile True: items.append(bytes(1 << 24))",
    ],
    ids=["interrupt", "backend", "endless", "loop", "memory"],
)
def test_what_a_plugin_leaves_behind_costs_a_line_and_nobody_else(
    install: Install, program: Program, golden: Golden, code: str
) -> None:
    install("broken", code)
    install("healthy", GOOD)
    started = time.monotonic()
    listed, err = program.names(ZOO_PLUGIN_SECONDS="0.5" if "pass" in code else "10")
    assert time.monotonic() - started < 30
    assert listed == ["healthy/tiny-net"]
    assert err.count("\n") == 1
    golden.says(without_module(err))


def test_thread_of_a_plugin_does_not_keep_a_command_from_ending(golden: Golden, tmp_path: Path) -> None:
    code = "import threading, time\nthreading.Thread(target=time.sleep, args=[600], name='waiter').start()\n" + GOOD
    (tmp_path / "waiting.py").write_text(code)
    command = [sys.executable, "-m", "zoo", "--plugin", str(tmp_path / "waiting.py"), "list", "models"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "'waiter'" in done.stderr
    golden.says(done.stderr)


@pytest.mark.parametrize("chosen", [None, "jax"])
def test_backend_stays_as_the_user_chose_it(
    install: Install, monkeypatch: pytest.MonkeyPatch, chosen: str | None
) -> None:
    install("broken", "import os; os.environ['KERAS_BACKEND'] = 'torch'" + GOOD)
    monkeypatch.setenv("KERAS_BACKEND", chosen or "")
    if chosen is None:
        monkeypatch.delenv("KERAS_BACKEND")
    registry, _ = load()
    assert registry.plugins["broken"].error
    assert os.environ.get("KERAS_BACKEND") == chosen


def test_recipe_that_names_a_failed_plugin_s_model_fails_too(install: Install) -> None:
    recipe = """
from zoo import Recipe, hookimpl

@hookimpl
def register_recipes():
    return [Recipe(name="r", summary="R.", dataset="fashion-mnist", model="tiny-net", trainer="fit", epochs=1,
                   batch_size=1)]
"""
    install("a", recipe)
    install("b", GOOD.replace("return [", "1 / 0; return ["))
    registry, complaints = load()
    assert names(registry) == OURS
    assert len(complaints) == 2


def test_allow_list(install: Install, golden: Golden) -> None:
    install("mine", GOOD)
    install("broken", "1 / 0")
    assert [name for name in names(load(ZOO_PLUGINS="mine")[0]) if name not in OURS] == ["mine/tiny-net"]
    assert names(load(ZOO_PLUGINS="")[0]) == OURS
    with golden.raises(PluginError, plugin="mien") as raised:
        zoo.load_registry({"ZOO_PLUGINS": "mien", "ZOO_STRICT": "1"})
    assert "'mine'" in str(raised.value)  # which may be meant
    assert load(ZOO_PLUGINS="mien")[1] == [str(raised.value)]


def test_two_distributions_with_plugins_of_one_name_neither_wins(install: Install, golden: Golden) -> None:
    install("mine", GOOD, "first")
    install("mine", GOOD, "second")
    registry, complaints = load()
    assert names(registry) == OURS
    assert len(complaints) == 2
    assert all("first" in complaint and "second" in complaint for complaint in complaints)
    golden.says("\n".join(complaints))


@pytest.mark.parametrize("name", ["fashion", "zoo", "local"])
def test_our_names_are_taken(install: Install, golden: Golden, name: str) -> None:
    install(name, GOOD)
    registry, complaints = load()
    assert names(registry) == OURS
    assert len(complaints) == 1
    golden.says(without_module(complaints[0]))


def test_two_registries_share_nothing() -> None:
    first, second = zoo.load_registry({"ZOO_PLUGINS": ""}), zoo.load_registry({"ZOO_PLUGINS": ""})
    first.models.add(zoo.Entry(name="tiny-net", target=len, summary="Tiny."))
    assert "local/tiny-net" in names(first)
    assert names(second) == OURS


def test_own_recipe_means_own_model(install: Install) -> None:
    recipe = """
@hookimpl
def register_recipes():
    return [Recipe(name="r", summary="R.", dataset="fashion-mnist", model="tiny-net", trainer="fit", epochs=1,
                   batch_size=1)]
"""
    install("a", GOOD)
    install("b", GOOD.replace("Entry, hookimpl", "Entry, Recipe, hookimpl") + recipe)
    registry, complaints = load()
    assert complaints == []
    recipe_of_b: Recipe = registry.recipes.get("r").item
    assert registry.models.get(recipe_of_b.model, prefer="b").plugin == "b"


def test_what_a_plugin_prints_on_import_is_not_our_output(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("mine", GOOD + "\nprint('hello')")
    load()
    assert capsys.readouterr() == ("", "hello\n")


def test_command_of_a_plugin_is_listed_and_called_without_being_imported_before(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = """
import subprocess
import sys
import time
from zoo import Entry, hookimpl

@hookimpl
def register_commands():
    return [Entry(name="greet", target="greeting_command:greet", summary="Say hello.")]
"""
    install("mine", code)
    folder = Path(sys.path[0])
    (folder / "greeting_command.py").write_text(
        "import click\n\n@click.command()\n@click.pass_obj\n"
        "def greet(session):\n    click.echo(f'hello from {len(session.registry.plugins)} plugins')\n"
    )
    monkeypatch.delenv("ZOO_PLUGINS", raising=False)
    plugins = 1 + len(load(ZOO_PLUGINS="")[0].plugins)
    for arguments, expected in ((["--help"], r"greet +Say hello\."), (["greet"], f"hello from {plugins} plugins")):
        assert "greeting_command" not in sys.modules
        with pytest.raises(SystemExit) as exit_:
            main(arguments)
        assert exit_.value.code == 0
        assert re.search(expected, capsys.readouterr().out)
    sys.modules.pop("greeting_command")


ONE_OF_EACH = """
from zoo import Entry, Recipe, hookimpl

@hookimpl
def register_recipes():
    return [Recipe(name="recipe", summary="One.", dataset="dataset", model="model", trainer="trainer",
                   optimizer="optimizer", schedule="schedule", loss="loss", augmentations=("augmentation",),
                   metrics=("metric",), callbacks=("callback",), epochs=1, batch_size=1)]

@hookimpl
def register_datasets():
    return [Entry(name="dataset", target="operator:eq", summary="One.")]

@hookimpl
def register_models():
    return [Entry(name="model", target="operator:eq", summary="One.")]

@hookimpl
def register_trainers():
    return [Entry(name="trainer", target="operator:eq", summary="One.")]

@hookimpl
def register_optimizers():
    return [Entry(name="optimizer", target="operator:eq", summary="One.")]

@hookimpl
def register_schedules():
    return [Entry(name="schedule", target="operator:eq", summary="One.")]

@hookimpl
def register_losses():
    return [Entry(name="loss", target="operator:eq", summary="One.")]

@hookimpl
def register_augmentations():
    return [Entry(name="augmentation", target="operator:eq", summary="One.")]

@hookimpl
def register_metrics():
    return [Entry(name="metric", target="operator:eq", summary="One.")]

@hookimpl
def register_callbacks():
    return [Entry(name="callback", target="operator:eq", summary="One.")]

@hookimpl
def register_exporters():
    return [Entry(name="exporter", target="operator:eq", suffix=".one", summary="One.")]

@hookimpl
def register_commands():
    return [Entry(name="command", target="operator:eq", summary="One.")]
"""


def test_each_hook_fills_its_catalog(install: Install) -> None:
    install("mine", ONE_OF_EACH)
    registry, complaints = load()
    assert complaints == []
    for kind, catalog in registry.catalogs.items():
        assert [found.qualified_name for found in catalog if found.plugin == "mine"] == [f"mine/{kind}"]


class WithCallbacks:
    """A plugin that is an object with one hook."""

    @staticmethod
    @zoo.hookimpl
    def register_callbacks() -> list[zoo.Entry]:
        return [zoo.Entry(name="stop-on-nan", target="keras.callbacks:TerminateOnNaN", summary="Stops on NaN.")]


def test_plugin_may_be_an_object() -> None:
    plugin = collect_registrations(Plugin(name="mine", source="here"), WithCallbacks())
    assert [entry.name for entry in plugin.registers["callback"]] == ["stop-on-nan"]


def test_importing_zoo_registers_nothing() -> None:
    assert not [name for name in vars(zoo) if isinstance(getattr(zoo, name), Registry)]
    assert "zoo.registry.plugins" in sys.modules  # this module imported it; no registry came of that
