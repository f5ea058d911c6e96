"""A sweep from its options to its end: new, or gone on with."""

from __future__ import annotations

import os
import secrets
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import DataError, HeldSignals, RunFolderError, StopRequested, ZooError, check_data_dir, claimed, load_data
from zoo_ray.sweeps import book as books
from zoo_ray.sweeps import trying
from zoo_ray.sweeps.book import Book
from zoo_ray.sweeps.conducting import Conductor
from zoo_ray.sweeps.display import make_display
from zoo_ray.sweeps.engine import Job
from zoo_ray.sweeps.records import AskedRecord, Measure, SearchRecord, TrialRecord
from zoo_ray.sweeps.searching import Search, import_optuna
from zoo_ray.sweeps.sources import Grid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zoo import RecipeRecord, Registry
    from zoo_ray.sweeps.engine import Engine
    from zoo_ray.sweeps.sources import Source


_AGAIN = {"data_dir": None, "jobs": None, "address": None, "trial_cpus": 1, "trial_gpus": 0, "retries": 2}
"""What is given again when a sweep goes on, since it is not remembered, and what it is by default."""


def carry_out(registry: Registry, *, quiet: bool, **options: Any) -> Book:
    """Carry out a sweep and return its book.

    Args:
        registry: Where names are looked up.
        quiet: No progress.
        options: Those of ``zoo sweep``, by their names there.

    Raises:
        ZooError: A name, a setting, the folder or the cluster is not as it must be.
        StopRequested: A signal asked to end; the text says how to go on.
    """
    check_engine(options["address"])
    if options["resume"] is not None:
        folder = options["resume"]
        with claimed(folder):
            book = Book.open(folder)
            if not book.is_finished:
                _check_data(book, registry, options["data_dir"])
                book.go_on()
                _conduct(book, registry, quiet, options)
            return book
    asked, choose_by, trials = plan(registry, options)
    folder = options["out"] or _new_folder()
    books.check_unused(folder)
    with claimed(folder):
        book = Book.new(folder, asked, choose_by, trials)
        _conduct(book, registry, quiet, options)
        return book


def plan(registry: Registry, options: Mapping[str, Any]) -> tuple[AskedRecord, Measure, list[TrialRecord]]:
    """Return what is asked for, what to choose by, and the trials that are known before the first one.

    Raises:
        ZooError: A name, setting, value or range is wrong.
    """
    for name in options["track"]:
        registry.trackers.get(name)
    search = None
    if options["search"] is not None:
        import_optuna()
        search = SearchRecord(
            trials=options["trials"],
            ranges={name: trying.range_of(*ends) for name, ends in options["ranges"].items()},
            choices=options["choices"],
            prune=options["prune"] or "median",
        )
    asked = AskedRecord(
        recipes=list(options["recipes"]),
        seeds=options["seeds"],
        settings=options["settings"],
        track=list(options["track"]),
        search=search,
        **{name: options[name] for name in ("dataset", "model", "trainer", "epochs", "batch_size", "checkpoint_every")},
    )
    if search is not None:
        asked, whole = trying.check_search(asked, registry)
        _check_data_dir(registry, [whole], options)
        return asked, trying.measure_of([whole], options["choose_by"]), []
    trials, resolved = trying.grid(asked, registry)
    _check_data_dir(registry, resolved, options)
    return asked, trying.measure_of(resolved, options["choose_by"]), trials


def _check_data_dir(registry: Registry, resolved: list[RecipeRecord], options: Mapping[str, Any]) -> None:
    """Check the data of trials on this machine once, rather than in each; a cluster may have others by that path."""
    if options["address"] is None:
        for record in {repr(each.dataset): each for each in resolved}.values():
            check_data_dir(record, options["data_dir"], registry=registry)


def check_engine(address: str | None) -> None:
    """Raise `zoo.PluginError` if what the engine needs is not installed."""
    if address is not None:
        from zoo_ray.sweeps.cluster import check_installed

        check_installed()


def _conduct(book: Book, registry: Registry, quiet: bool, options: Mapping[str, Any]) -> None:
    """Do what is left to do, and leave no process behind."""
    source: Source = Grid(book) if book.record.asked.search is None else Search(book, registry)
    again = resume_command(book.folder, registry, options)
    common = _common(registry, options["data_dir"])
    display = make_display(source.total, quiet, done=book.count("trained", "pruned"))
    try:
        with HeldSignals() as signals:
            engine = _engine(book.folder, options, signals.check)
            try:
                Conductor(
                    book=book,
                    registry=registry,
                    source=source,
                    engine=engine,
                    display=display,
                    signals=signals,
                    common=common,
                ).run()
            finally:
                if book.count("running"):
                    display.stage("stopping what is left")
                engine.close()
                book.set_aside()
    except StopRequested as error:
        done = f"{book.count('trained', 'pruned')} of {source.total} trials are done"
        raise StopRequested(error.signal_number, f"Stopped: {done}. Go on with: {again}") from None
    except ZooError as error:
        raise type(error)(f"{str(error).rstrip('.')}. What is done is kept; go on with: {again}") from error
    finally:
        display.close()


def _check_data(book: Book, registry: Registry, data_dir: Path | None) -> None:
    """Raise `zoo.DataError` if trials that are left would have other data than those that have begun."""
    seen = set()
    for trial in book.record.trials:
        settings = [(name, value) for name, value in trial.settings.items() if name.startswith("dataset.")]
        if (key := (trial.recipe, *settings)) in seen:
            continue
        try:
            run = book.run_of(trial)
        except RunFolderError:  # it has not begun, or a process will tell what is wrong with it
            continue
        seen.add(key)
        try:
            load_data(run, registry=registry, data_dir=data_dir)
        except DataError as error:
            raise DataError(f"{error} A sweep does not remember --data-dir: give it again, with --resume.") from error


def _engine(folder: Path, options: Mapping[str, Any], on_wait: Callable[[], None]) -> Engine:
    if options["address"] is None:
        from zoo_ray.sweeps.local import LocalEngine

        return LocalEngine(options["jobs"] or 1, options["retries"])
    from zoo_ray.sweeps.cluster import Cluster, ClusterEngine

    cluster = Cluster(
        address=options["address"],
        cpus=options["trial_cpus"],
        gpus=options["trial_gpus"],
        retries=options["retries"],
    )
    return ClusterEngine(cluster, folder, options["jobs"], on_wait)


def _common(registry: Registry, data_dir: Path | None) -> Job:
    """Return what all jobs have in common."""
    return Job(
        folder="",
        work="train",
        recipe="",
        changes={},
        data_dir=None if data_dir is None else str(data_dir.absolute()),
        plugin_files=_plugin_files(registry),
        place=os.getcwd(),
    )


def _plugin_files(registry: Registry) -> list[str]:
    return sorted(str(plugin.file) for plugin in registry.plugins.values() if plugin.file is not None)


def resume_command(folder: Path, registry: Registry, options: Mapping[str, Any]) -> str:
    """Return what to type to go on."""
    words = ["zoo", *(word for file in _plugin_files(registry) for word in ("--plugin", file))]
    words += ["sweep", "--resume", str(folder)]
    for name, default in _AGAIN.items():
        if options[name] != default:
            value = options[name]
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)


def _new_folder() -> Path:
    return Path("runs") / f"sweep-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
