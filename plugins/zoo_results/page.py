"""The report of a run as one self-contained HTML page: no network access, no scripts, all text escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from zoo.cli.toolkit import setting_text
from zoo.runs import by_class, calibration, class_means, confusion_matrix
from zoo.utils import printable
from zoo_results.columns import metrics_of, settings_of
from zoo_results.metrics import wilson
from zoo_results.svg_charts import line_chart, reliability_diagram

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from zoo import Metrics, Run
    from zoo.runs import Predictions
    from zoo_results.metrics import Mistake
    from zoo_results.worst_predictions import Picture

_LARGEST_MATRIX = 30  # classes up to which the matrix is shown; with more, only the most frequent confusions
_CONFUSIONS = 10
_AT_TOP = ("dataset", "model", "trainer")  # components that the first paragraph names


def render(
    run: Run,
    found: Predictions | None,
    mistakes: Sequence[tuple[Mistake, Picture]],
    notes: Sequence[str],
) -> str:
    """Return the page.

    Args:
        run: The run.
        found: Its test predictions, or None.
        mistakes: The most confident mistakes, with their images.
        notes: What the page cannot show, and why.
    """
    record = run.record
    environment = Environment(
        loader=PackageLoader("zoo_results", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts = record.recipe.choices()
    return environment.get_template("report.html.j2").render(
        title=record.recipe.name,
        folder=str(run.path.resolve().name),
        record=record,
        parts=parts,
        headline=_headline(run),
        notes=list(notes),
        further=_further(run),
        curves=[_curve(run, name) for name in _curves_of(run)],
        has_validation=any(epoch.validation for epoch in record.history),
        predicted=None if found is None else _predicted(found, record.data.class_names),
        mistakes=[(mistake, picture) for mistake, picture in mistakes],
        names=record.data.class_names,
        settings={key: setting_text(value) for key, value in (_choices(run) | settings_of(run)).items()},
        environment=_environment(run),
    )


def _plain(value: Any) -> Any:
    """Return text without control characters, including those that change the reading direction."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _headline(run: Run) -> list[tuple[str, str, str]]:
    """Return the numbers at the top: name, value, explanation."""
    record, monitor = run.record, run.record.recipe.monitor
    rows = []
    if record.test is not None:
        low, high = wilson(record.test.accuracy, record.data.test) if record.data.test else (0.0, 1.0)
        about = f"95 % interval {low:.4f} to {high:.4f}, loss {record.test.loss:.5f}"
        rows.append(("test accuracy", f"{record.test.accuracy:.4f}", about))
    if record.validation is not None:
        about = f"used to choose the epoch, loss {record.validation.loss:.5f}"
        rows.append(("validation accuracy", f"{record.validation.accuracy:.4f}", about))
        if monitor in record.validation.others:
            rows.append((f"validation {monitor}", f"{record.validation.value(monitor):.4f}", "chose the epoch"))
    by = "" if monitor == "loss" else f" by {monitor}"
    epochs = f"epoch {record.best_epoch} was best{by}" if record.validation is not None else "no validation"
    trained = len(record.history)
    is_short = record.status in ("trained", "tested") and 0 < trained < record.recipe.epochs
    early = f"of {record.recipe.epochs}, stopped by a callback; " if is_short else ""
    rows.append(("epochs", str(trained), early + epochs))
    if record.init is not None:
        total = record.init.taken + len(record.init.new)
        rows.append(("initial weights", f"{record.init.taken} of {total}", f"from {record.init.source}"))
    if record.history:
        rows.append(("training", _duration(record.seconds.train), f"{record.data.train:,} images"))
    rows.append(("parameters", f"{record.parameters:,}", record.recipe.model.name))
    return rows


def _choices(run: Run) -> dict[str, Any]:
    """Return the components that the page does not name at its top."""
    return {name: names for name, names in run.record.recipe.choices().items() if name not in _AT_TOP}


def _further(run: Run) -> list[tuple[str, float | None, float | None]]:
    """Return the metrics besides loss and accuracy: name, validation, test."""
    record = run.record
    names = dict.fromkeys([*metrics_of([run], "validation"), *metrics_of([run], "test")])
    validation, test = (metrics.others if metrics is not None else {} for metrics in (record.validation, record.test))
    return [(name, validation.get(name), test.get(name)) for name in names]


def _curves_of(run: Run) -> list[str]:
    """Return the metrics whose curves are shown: loss, accuracy, and the one that chose the epoch."""
    history, monitor = run.record.history, run.record.recipe.monitor
    has_monitor = any(epoch.validation is not None and monitor in epoch.validation.others for epoch in history)
    return ["loss", "accuracy", *([monitor] if has_monitor else [])] if history else []


def _curve(run: Run, metric: str) -> dict[str, Any]:
    history = run.record.history
    splits: dict[str, list[tuple[int, Metrics | None]]] = {
        "training": [(epoch.epoch, epoch.train) for epoch in history],
        "validation": [(epoch.epoch, epoch.validation) for epoch in history],
    }
    lines = {
        split: [
            (epoch, metrics.value(metric))
            for epoch, metrics in several
            if metrics is not None and metric in ("loss", "accuracy", *metrics.others)
        ]
        for split, several in splits.items()
    }
    described = ", ".join(
        f"{split} {metric} from {points[0][1]:.4f} to {points[-1][1]:.4f}" for split, points in lines.items() if points
    )
    chart = line_chart(
        f"curve-{metric}",
        f"{metric} by epoch",
        f"{described[0].upper()}{described[1:]}.",
        [line for line in lines.items() if line[1]],
        across="epoch",
        mark=run.record.best_epoch,
    )
    return {"name": metric, "chart": chart}


def _predicted(found: Predictions, names: Sequence[str]) -> dict[str, Any]:
    matrix = confusion_matrix(found.probabilities, found.labels)
    classes = by_class(matrix)
    error, bins = calibration(found.probabilities, found.labels)
    return {
        "matrix": matrix.tolist() if len(names) <= _LARGEST_MATRIX else None,
        "confusions": _confusions(matrix),
        "classes": classes,
        "means": class_means(classes),
        "has_undefined": any(None in (each.precision, each.recall, each.f1) for each in classes),
        "error": error,
        "bins": bins,
        "diagram": reliability_diagram("reliability", bins),
        "wrong": int(matrix.sum() - matrix.trace()),
        "images": int(matrix.sum()),
    }


def _confusions(matrix: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return the most frequent confusions: true class, predicted class, images."""
    rows = [
        (truth, predicted, int(count))
        for truth, row in enumerate(matrix)
        for predicted, count in enumerate(row)
        if count and truth != predicted
    ]
    return sorted(rows, key=lambda row: -row[2])[:_CONFUSIONS]


def _environment(run: Run) -> dict[str, str]:
    record = run.record
    now = record.environment
    return {
        "run": record.id,
        "started": record.started,
        **{f"resumed ({number})": each.time for number, each in enumerate(record.resumed, start=1)},
        "total seconds": f"{record.seconds.total:.1f}",
        **({"accelerator": now.accelerator} if now.accelerator else {}),
        "processor": f"{now.processors} x {now.processor}",
        **({"instruction sets": " ".join(now.instruction_sets)} if now.instruction_sets else {}),
        "platform": now.platform,
        "python": now.python,
        "backend": now.backend,
        "float type": now.float_type,
        "dtype policy": now.dtype_policy,
        **now.packages,
        **{name: f"{value} (variable)" for name, value in now.variables.items()},
        **{
            f"plugin {name}": f"{plugin.package or 'a file'} {plugin.version}"
            for name, plugin in record.plugins.items()
        },
        **{f"sha256 of {name}": digest for name, digest in record.data.digests.items()},
        **({"sha256 of the model": record.model_sha256} if record.model_sha256 else {}),
    }


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
