"""The registered metrics, against scikit-learn and by hand; and what a run does with them."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from zoo_metrics import measures

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.small_recipe import make_registry
from zoo import Registry, Run, SettingError
from zoo.errors import PluginError
from zoo.runs import Metrics, by_class, calibration, class_means, confusion_matrix, top_k_accuracy
from zoo.training.metrics import compute_metrics

NAMES = ("auroc", "balanced-accuracy", "ece", "macro-f1", "nll", "top-5")


def drawn(classes: int, images: int = 300, *, ties: bool = False, labels: Any = None) -> tuple[Any, Any]:
    """Return probabilities and labels at random; with ``ties``, of few different values."""
    generator = np.random.default_rng(classes + images)
    probabilities = generator.dirichlet(np.full(classes, 0.5), images)
    if ties:
        coarse = np.round(probabilities * 4) + 1
        probabilities = coarse / coarse.sum(axis=1, keepdims=True)
    return probabilities, generator.choice(range(classes) if labels is None else labels, images)


SETS = {
    "ten classes": drawn(10),
    "two classes": drawn(2),
    "ties": drawn(5, ties=True),
    "classes without images": drawn(6, labels=[0, 2, 3]),
    "few images": drawn(4, 9),
}


@pytest.mark.parametrize("name", SETS)
def test_metrics_are_scikit_learn_s(name: str) -> None:
    probabilities, labels = SETS[name]
    predicted, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about predicted classes that have no images
        balanced = sklearn_metrics.balanced_accuracy_score(labels, predicted)
    assert measures.balanced_accuracy(probabilities, labels) == pytest.approx(balanced, abs=1e-12)
    f1 = sklearn_metrics.f1_score(labels, predicted, average="macro", zero_division=0)
    assert measures.macro_f1(probabilities, labels) == pytest.approx(f1, abs=1e-12)
    assert measures.nll(probabilities, labels) == pytest.approx(
        sklearn_metrics.log_loss(labels, probabilities, labels=range(classes)), abs=1e-9
    )
    areas = [sklearn_metrics.roc_auc_score(labels == at, probabilities[:, at]) for at in np.unique(labels)]
    assert measures.auroc(probabilities, labels) == pytest.approx(np.mean(areas), abs=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_measures_of_classes_are_scikit_learn_s(name: str) -> None:
    probabilities, labels = SETS[name]
    predicted, classes = probabilities.argmax(axis=1), range(probabilities.shape[1])
    matrix = confusion_matrix(probabilities, labels)
    np.testing.assert_array_equal(matrix, sklearn_metrics.confusion_matrix(labels, predicted, labels=classes))
    several = by_class(matrix)
    expected = sklearn_metrics.precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    for field, column in zip(("precision", "recall", "f1", "images"), expected, strict=True):
        assert [getattr(each, field) or 0 for each in several] == pytest.approx(column.tolist(), abs=1e-12)
    macro = sklearn_metrics.precision_recall_fscore_support(labels, predicted, average="macro", zero_division=0)
    assert [*class_means(several).values()] == pytest.approx(macro[:3], abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k_is_scikit_learn_s(k: int) -> None:
    probabilities, labels = drawn(10)
    expected = sklearn_metrics.top_k_accuracy_score(labels, probabilities, k=k, labels=range(10))
    assert top_k_accuracy(probabilities, labels, k) == measures.top_k(probabilities, labels, k) == expected


def test_auroc_of_all_classes_is_the_macro_average_of_scikit_learn() -> None:
    probabilities, labels = SETS["ten classes"]
    expected = sklearn_metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert measures.auroc(probabilities, labels) == pytest.approx(expected, abs=1e-12)
    probabilities, labels = SETS["two classes"]
    expected = sklearn_metrics.roc_auc_score(labels, probabilities[:, 1])
    assert measures.auroc(probabilities, labels) == pytest.approx(expected, abs=1e-12)


def test_equal_probabilities_are_in_the_order_of_the_classes() -> None:
    uniform, labels = np.full((4, 4), 0.25), np.arange(4)
    assert [top_k_accuracy(uniform, labels, k) for k in (1, 2, 4, 5)] == [0.25, 0.5, 1.0, 1.0]
    assert top_k_accuracy(uniform, labels, 1) == (uniform.argmax(axis=1) == labels).mean()
    assert measures.auroc(uniform, labels) == 0.5  # each pair is a tie


def test_one_class_has_no_area_and_all_else() -> None:
    probabilities, labels = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]]), np.zeros(3, int)
    assert np.isnan(measures.auroc(probabilities, labels))
    assert measures.balanced_accuracy(probabilities, labels) == pytest.approx(2 / 3)
    assert measures.macro_f1(probabilities, labels) == pytest.approx((2 * 2 / 5 + 0) / 2)  # the other is predicted
    assert measures.top_k(probabilities, labels) == 1.0


def test_bins_of_calibration_have_their_upper_ends() -> None:
    edges = np.array([0.5, 0.6, 0.7, 0.70001, 0.9, 1.0])
    probabilities, labels = np.stack([edges, 1 - edges], axis=1), np.zeros(6, int)
    error, bins = calibration(probabilities, labels, 10)
    assert [(round(each.high, 9), each.images) for each in bins if each.images] == [
        (0.5, 1), (0.6, 1), (0.7, 1), (0.8, 1), (0.9, 1), (1.0, 1),
    ]  # fmt: skip
    assert error == measures.ece(probabilities, labels, 10) == pytest.approx((1 - edges).mean())
    _, bins = calibration(np.array([[1.0000001, 0.0]], np.float32), np.array([1]))
    assert (bins[-1].images, bins[-1].accuracy) == (1, 0.0)


@pytest.mark.parametrize("bins", [1, 7, 15, 100])
def test_calibration_error_is_the_definition_s(bins: int) -> None:
    probabilities, labels = drawn(10)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    places = np.digitize(confidence, np.arange(1, bins) / bins, right=True)
    expected = sum(
        (places == at).mean() * abs(right[places == at].mean() - confidence[places == at].mean())
        for at in np.unique(places)
    )
    assert measures.ece(probabilities, labels, bins) == pytest.approx(expected, abs=1e-12)


def test_certain_errors_are_finite() -> None:
    probabilities, labels = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([0, 1])
    assert measures.nll(probabilities, labels) == pytest.approx(-np.log(1e-38) / 2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that has every metric, of which balanced accuracy chooses the epoch; not to be changed."""
    folder = tmp_path_factory.mktemp("metrics") / "run"
    return zoo.run("small", metrics=NAMES, monitor="balanced-accuracy", out=folder, registry=make_registry())


@pytest.mark.slow
def test_run_records_its_metrics_and_chooses_by_one_of_them(run: Run, run_zoo: Zoo) -> None:
    record = run.record
    assert record.recipe.monitor == "balanced-accuracy"
    assert record.validation is not None
    assert record.test is not None
    assert (*record.validation.others,) == (*record.test.others,) == NAMES
    values = [epoch.validation.value("balanced-accuracy") for epoch in record.history if epoch.validation]
    assert record.validation.value("balanced-accuracy") == max(values)
    assert record.best_epoch == values.index(max(values)) + 1
    found = zoo.read_predictions(run)
    probabilities, labels = found.probabilities.astype(float), found.labels
    assert record.test.value("ece") == pytest.approx(measures.ece(probabilities, labels), abs=1e-6)
    with open(run.path / "history.csv", encoding="utf-8") as file:
        rows = [*csv.DictReader(file)]
    assert [float(row["validation_balanced-accuracy"]) for row in rows] == values


@pytest.mark.slow
def test_test_tells_of_each_class(run: Run, run_zoo: Zoo) -> None:
    done = run_zoo("test", run.path, "--json")
    assert done.status == 0, done.err
    told = json.loads(done.out)
    found = zoo.read_predictions(run)
    assert run.record.test is not None
    assert told["test"] == {
        "loss": run.record.test.loss, "accuracy": run.record.test.accuracy, **run.record.test.others
    }  # fmt: skip
    assert told["confusion_matrix"] == confusion_matrix(found.probabilities, found.labels).tolist()
    assert [each["name"] for each in told["classes"]] == run.record.data.class_names
    assert [each["support"] for each in told["classes"]] == np.bincount(found.labels, minlength=10).tolist()
    report = sklearn_metrics.classification_report(
        found.labels, found.probabilities.argmax(axis=1), labels=range(10), output_dict=True, zero_division=0
    )
    for at, each in enumerate(told["classes"]):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert (each[ours] or 0) == pytest.approx(report[str(at)][theirs])
    assert list(told["top_k_accuracy"]) == ["1", "3", "5"]
    assert told["top_k_accuracy"]["1"] == told["test"]["accuracy"]
    assert told["top_k_accuracy"]["5"] == told["test"]["top-5"]


@pytest.mark.slow
def test_metrics_are_shown(run: Run, run_zoo: Zoo) -> None:
    done = run_zoo("resume", run.path)  # it is finished
    rows = [line.split() for line in done.out.splitlines()]
    assert f"epoch {run.record.best_epoch} was best by balanced-accuracy" in done.out
    further = [row for row in rows if row[:1] == ["auroc"]]
    assert [row[::2] for row in further] == [list(NAMES)] * 2  # of validation and test
    assert run.record.validation is not None
    assert further[0][3] == f"{run.record.validation.value('balanced-accuracy'):.4f}"
    told = json.loads(run_zoo("resume", run.path, "--json").out)
    assert set(told["validation"]) == set(told["test"]) == {"loss", "accuracy", *NAMES}


@pytest.mark.slow
def test_line_of_an_epoch_has_the_metric_that_chooses(run_zoo: Zoo, tmp_path: Path) -> None:
    done = run_zoo("train", "small", "--epochs", "1", "--monitor", "ece", "--metric", "top-5", "--out", tmp_path / "a")
    assert done.status == 0, done.err
    (line,) = [line for line in done.err.splitlines() if line.startswith("epoch 1/1")]
    validation = zoo.open_run(tmp_path / "a").record.validation
    assert validation is not None
    assert f"  ece {validation.value('ece'):.4f}  " in line
    assert "top-5" not in line


def test_metric_by_its_full_name_and_settings(registry: Registry) -> None:
    config = zoo.prepare("small", monitor="metrics/top-5", settings={"metric.top-5.k": 3}, registry=registry)
    assert (config.recipe.monitor, config.recipe.monitor_mode) == ("top-5", "max")
    assert config.settings["metric.top-5.k"] == 3
    assert zoo.prepare("small", monitor="ece", registry=registry).recipe.monitor_mode == "min"
    with pytest.raises(SettingError):
        zoo.prepare("small", metrics=["top-5"], settings={"metric.top-5.k": 0}, registry=registry)


def test_undefined_metric_is_an_error_that_says_so(golden: Golden, registry: Registry) -> None:
    config = zoo.prepare("small", metrics=["auroc", "top-5"], registry=registry)
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    with golden.raises(PluginError, plugin="metrics"):
        compute_metrics(probabilities, np.zeros(3, int), config.recipe.metrics)


def test_metrics_have_their_values_by_name() -> None:
    metrics = Metrics(loss=1.0, accuracy=0.5, others={"ece": 0.1})
    assert [metrics.value(name) for name in ("loss", "accuracy", "ece")] == [1.0, 0.5, 0.1]
    with pytest.raises(KeyError):
        metrics.value("top-5")
