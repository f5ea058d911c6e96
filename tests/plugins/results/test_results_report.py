"""`zoo report`: one page that needs nothing else, right in its figures, safe whatever names hold."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from zoo_results import metrics, svg_charts

import zoo
from tests.faults.corpus import NO_FILES
from tests.support import browser
from tests.support.command_line import Outcome, Zoo
from tests.support.golden import Golden
from tests.support.pages import HOSTILE, Page, check
from tests.support.sealing import seal, unsealed
from tests.support.small_recipe import FashionSlice
from zoo import Entry, Registry, Run, Split
from zoo.runs import Predictions, by_class, calibration, class_means, confusion_matrix


@dataclass(frozen=True, kw_only=True)
class Hostile(FashionSlice):
    """The slice with class names that try to be code."""

    def load(self, data_dir: Path | None) -> Split:
        split = super().load(data_dir)
        return Split(train=split.train, test=split.test, class_names=HOSTILE, digests=split.digests)


def note_of(done: Outcome) -> str:
    """Return the one warning that a call gave, which its page has as a note."""
    (line,) = done.err.splitlines()
    assert line.startswith("Warning: ")
    return line.removeprefix("Warning: ")


@pytest.fixture
def run(small_run: Run, tmp_path: Path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(small_run.path, tmp_path / "run"))


@pytest.fixture
def hostile(run: Path, registry: Registry) -> Path:
    """The finished run in a folder and with classes whose names try to be code."""
    registry.datasets.add(Entry(name="hostile", target=Hostile, summary="The slice, renamed."))
    content = unsealed(run / "run.json")
    content["data"]["class_names"] = list(HOSTILE)
    content["recipe"]["dataset"]["name"] = "hostile"
    content["recipe"]["name"] = HOSTILE[0]
    content["environment"]["processor"] = HOSTILE[1]
    (run / "run.json").write_bytes(seal(content))
    return run.rename(run.with_name("<img src=x onerror=alert(1)>"))


def test_path_cannot_command_a_terminal(run_zoo: Zoo, run: Path) -> None:
    odd = run.rename(run.with_name("a\x1b[2J\nx"))
    done = run_zoo("report", odd)
    assert (done.status, len(done.out.splitlines())) == (0, 1)
    assert "\x1b" not in done.out
    assert (odd / "report.html").exists()


def test_report_names_the_accelerator(run_zoo: Zoo, run: Path) -> None:
    content = unsealed(run / "run.json")
    content["environment"]["accelerator"] = "NVIDIA H100 PCIe"
    (run / "run.json").write_bytes(seal(content))
    assert run_zoo("report", run).status == 0
    assert "NVIDIA H100 PCIe" in (run / "report.html").read_text()


def test_report_of_a_run_holds_all_of_it(run_zoo: Zoo, run: Path, small_run: Run) -> None:
    done = run_zoo("report", run)
    assert (done.status, done.out, done.err) == (0, f"{run / 'report.html'}\n", "")
    page = Page(run / "report.html")
    check(page)
    sections = ["curves", "confusion", "classes", "calibration", "mistakes", "settings", "environment"]
    assert [attributes["id"] for tag, attributes in page.tags if tag == "h2"] == sections
    assert small_run.test_metrics is not None
    assert f"{small_run.test_metrics.accuracy:.4f}" in page.text
    assert len(page.all("svg")) == 3
    assert len(page.all("img")) == 24
    assert {"class": "matrix", "aria-describedby": "matrix-text"} in page.all("table")
    for text in ("optimizer.learning_rate", "0.003", "Ankle boot", "tensorflow", small_run.record.id):
        assert text in page.text
    found = zoo.read_predictions(small_run)
    worst = metrics.worst_mistakes(found, 1)[0]
    assert re.search(rf"\b{worst.index}\b", str(page.all("img")[0]["alt"]))
    # run again, it replaces the report, and the run is still sound
    assert run_zoo("report", run, "--mistakes", "0").status == 0
    assert Page(run / "report.html").all("img") == []
    assert zoo.open_run(run).record == small_run.record
    assert sorted(path.name for path in run.iterdir() if path.name.startswith(".")) == []


def test_metric_that_chose_the_epoch_has_a_curve_and_all_further_ones_a_row(run_zoo: Zoo, run: Path) -> None:
    content = unsealed(run / "run.json")
    content["recipe"]["monitor"] = "macro-f1"
    for number, epoch in enumerate(content["history"]):
        epoch["validation"]["others"] = {"macro-f1": 0.25 + number / 10, "ece": 0.1}
    content["validation"]["others"] = {"macro-f1": 0.3579, "ece": 0.1234}
    content["test"]["others"] = {"macro-f1": 0.3456}
    (run / "run.json").write_bytes(seal(content))
    assert run_zoo("report", run, "--mistakes", "0").status == 0
    page = Page(run / "report.html")
    check(page)
    assert [attributes["id"] for tag, attributes in page.tags if tag == "h2"][:2] == ["curves", "metrics"]
    assert len(page.all("svg")) == 4
    assert "Validation macro-f1 from 0.2500 to 0.3500." in page.text
    assert re.search(r"macro-f1\s*0\.3579\s*0\.3456\s*ece\s*0\.1234\s*\N{EN DASH}", page.text)
    assert f"epoch {content['best_epoch']} was best by macro-f1" in page.text


def test_mean_of_the_classes_counts_one_that_was_never_predicted(run_zoo: Zoo, run: Path) -> None:
    from sklearn.metrics import precision_recall_fscore_support

    content, labels = unsealed(run / "run.json"), np.arange(200, dtype=np.int32) % 10
    taken = np.where(np.arange(200) % 7 == 0, np.roll(labels, 3), labels)
    replace(run, content, np.eye(10, dtype=np.float32)[taken], labels)
    assert run_zoo("report", run, "--mistakes", "0").status == 0
    assert "zero_division=0" not in Page(run / "report.html").text
    taken[taken == 3] = 4
    replace(run, content, np.eye(10, dtype=np.float32)[taken], labels)
    assert run_zoo("report", run, "--mistakes", "0").status == 0
    page = Page(run / "report.html")
    check(page)
    expected = precision_recall_fscore_support(labels, taken, average="macro", zero_division=0)[:3]
    assert re.search(r"\s*".join(re.escape(f"{value:.4f}") for value in expected), page.text)
    assert "zero_division=0" in page.text  # of scikit-learn, as which it counts


def test_names_stay_text(run_zoo: Zoo, hostile: Path) -> None:
    done = run_zoo("report", hostile)
    assert done.status == 0, done.err
    page = Page(hostile / "report.html")
    check(page)
    assert len(page.all("img")) == 24
    for name in HOSTILE:
        assert name.replace("\u202e", "") in page.text
    assert "\u202e" not in page.source
    assert hostile.name in page.text
    assert page.all("b") == page.all("i") == []


def test_recipe_s_report_is_written_here(run_zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_zoo("report", "fashion-cnn", "--mistakes", "5")
    assert (done.status, done.out) == (0, "fashion-cnn-report.html\n")
    page = Page(tmp_path / "fashion-cnn-report.html")
    check(page)
    assert re.search(r"\b748\b.*\b10,000\b", page.text)
    assert len(page.all("img")) == 5


def test_without_data_it_says_so_and_shows_the_rest(run_zoo: Zoo, golden: Golden, run: Path) -> None:
    content = unsealed(run / "run.json")
    content["recipe"]["dataset"] |= {"plugin": "gone", "name": "gone"}
    (run / "run.json").write_bytes(seal(content))
    done = run_zoo("report", run, "--out", run / "a.html")
    assert (done.status, done.err.count("\n")) == (0, 1)
    page = Page(run / "a.html")
    check(page)
    assert note_of(done) in page.text
    golden.says(note_of(done))
    assert page.all("img") == []
    assert len(page.all("figcaption")) == 24


def test_data_with_other_test_images_are_not_shown(run_zoo: Zoo, golden: Golden, run: Path, small_run: Run) -> None:
    found = zoo.read_predictions(small_run)
    replace(run, unsealed(run / "run.json"), found.probabilities, np.roll(found.labels, 1))
    done = run_zoo("report", run)
    assert done.status == 0
    page = Page(run / "report.html")
    assert note_of(done) in page.text
    golden.says(note_of(done))
    assert page.all("img") == []


def test_other_files_with_the_same_labels_are_not_shown(run_zoo: Zoo, golden: Golden, run: Path) -> None:
    content = unsealed(run / "run.json")
    content["data"]["digests"] = dict.fromkeys(content["data"]["digests"], "0" * 64)
    (run / "run.json").write_bytes(seal(content))
    done = run_zoo("report", run)
    assert (done.status, done.err.count("\n")) == (0, 1)
    assert "zoo report RUN --data-dir" in done.err
    golden.says(note_of(done))
    page = Page(run / "report.html")
    assert note_of(done) in page.text
    assert page.all("img") == []


@pytest.mark.parametrize("losses", [(1e16, 1e16), (1e16, 1e16 + 2), (1e308, 1e308), (5e-324, 1e-323), (0.5, 1e300)])
def test_curves_of_huge_and_tiny_values_are_finite(losses: tuple[float, float]) -> None:
    chart = svg_charts.line_chart("a", "A", "A.", [("b", list(enumerate(losses)))], across="epoch")
    assert chart.count("<circle") == 2
    assert not re.search(r"\b(nan|inf)\b", chart)


def test_curves_too_far_apart_are_left_out() -> None:
    line = ("b", [(1, -1.7e308), (2, 1.7e308)])
    assert svg_charts.line_chart("a", "A", "A.", [line], across="epoch") == ""


def test_run_that_was_not_tested_has_a_report(run_zoo: Zoo, run: Path) -> None:
    content = unsealed(run / "run.json")
    content |= {"test": None, "predictions_sha256": None, "status": "failed", "error": "<b>too late</b>"}
    (run / "run.json").write_bytes(seal(content))
    assert run_zoo("report", run).status == 0
    page = Page(run / "report.html")
    check(page)
    assert f"zoo test {run}" in page.text
    assert "<b>too late</b>" in page.text
    assert len(page.all("svg")) == 2


def test_run_without_validation_or_epochs_has_a_report(run_zoo: Zoo, run: Path) -> None:
    content = unsealed(run / "run.json")
    content |= {"validation": None, "best_epoch": 1}
    content["history"] = [{**content["history"][0], "validation": None}]
    (run / "run.json").write_bytes(seal(content))
    assert run_zoo("report", run).status == 0
    page = Page(run / "report.html")
    check(page)
    assert "validation accuracy" not in page.text
    content |= {"history": [], "best_epoch": None}
    (run / "run.json").write_bytes(seal(content))
    assert run_zoo("report", run).status == 0
    check(Page(run / "report.html"))


def test_many_classes_have_no_matrix(run_zoo: Zoo, run: Path) -> None:
    content, generator = unsealed(run / "run.json"), np.random.default_rng(0)
    content["data"]["class_names"] = [f"class {number}" for number in range(40)]
    probabilities = generator.dirichlet(np.ones(40), 200).astype("float32")
    replace(run, content, probabilities, generator.integers(0, 30, 200).astype("int32"))
    assert run_zoo("report", run).status == 0
    page = Page(run / "report.html")
    check(page)
    assert "matrix" not in [table.get("class") for table in page.all("table")]
    assert "class 39" in page.text  # in the table of classes, with a dash for its recall
    assert "\N{EN DASH}" in page.text


def replace(path: Path, content: dict[str, Any], probabilities: Any, labels: Any) -> None:
    data = save({"labels": labels, "probabilities": probabilities})
    (path / "test-predictions.safetensors").write_bytes(data)
    (path / "run.json").write_bytes(seal(content | {"predictions_sha256": hashlib.sha256(data).hexdigest()}))


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["nowhere"], 1),
        (["vit-tiny"], 1),
        (["fashion-cnn", "--out", "nowhere/a.html"], 1),
        (["fashion-cnn", "--out", "."], 2),
        (["fashion-cnn", "--mistakes", "-1"], 2),
    ],
    ids=["no such run", "no weights", "no such folder", "no page", "less than no mistakes"],
)
def test_fault_is_one_clear_line(
    run_zoo: Zoo, golden: Golden, arguments: list[str], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_zoo("report", *arguments)
    assert (done.status, done.out, [*tmp_path.iterdir()]) == (status, "", [])
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    if "--mistakes" in arguments:
        assert "--mistakes" in line  # in click's words
    else:
        golden.says(line)


def test_file_that_cannot_be_written_is_told_before_the_work(
    run_zoo: Zoo, golden: Golden, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: object) -> None:
        raise AssertionError("the work has begun")

    monkeypatch.setattr("zoo_results.saved_predictions.read_predictions", never)
    (run / "folder.html").mkdir()
    for out in ("gone/a.html", "folder.html"):
        done = run_zoo("report", run, "--out", run / out)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
        assert str(run / out) in done.err
        golden.says(done.err)
    before = sorted(run.iterdir())
    monkeypatch.setattr("os.fsync", no_space)  # when the file is there already
    assert os.strerror(errno.ENOSPC) in run_zoo("report", run).err
    assert sorted(run.iterdir()) == before


def no_space(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_damaged_predictions_are_an_error(run_zoo: Zoo, golden: Golden, run: Path) -> None:
    (run / "test-predictions.safetensors").write_bytes(b"damaged")
    done = run_zoo("report", run)
    assert (done.status, done.out) == (1, "")
    assert str(run / "test-predictions.safetensors") in done.err
    golden.says(done.err)


@pytest.mark.parametrize("what", [*NO_FILES, "unreadable"])
@pytest.mark.parametrize("command", ["report", "compare"])
def test_predictions_that_are_no_file_are_an_error(
    run_zoo: Zoo, small_run: Run, run: Path, command: str, what: str
) -> None:
    saved = run / "test-predictions.safetensors"
    if what == "unreadable":
        saved.chmod(0)
        if os.access(saved, os.R_OK):
            pytest.skip("root may read it")
    else:
        NO_FILES[what](saved)
    done = run_zoo(command, *([run, small_run.path] if command == "compare" else [run]))
    assert (done.status, done.out) == (1, "")
    (line,) = [line for line in done.err.splitlines() if not line.startswith("loading")]
    assert line.startswith("Error: ")
    assert str(saved) in line
    assert not (run / "report.html").exists()


def test_predictions_that_were_removed_are_a_note(run_zoo: Zoo, run: Path) -> None:
    (run / "test-predictions.safetensors").unlink()
    done = run_zoo("report", run)
    assert done.status == 0
    assert "test-predictions.safetensors" in (run / "report.html").read_text()


PREDICTED = Predictions(
    probabilities=np.array(
        [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
        np.float32,
    ),
    labels=np.array([0, 0, 1, 1, 1, 0], np.int32),
)


def test_measures_of_six_images_are_those_counted_by_hand() -> None:
    matrix = confusion_matrix(PREDICTED.probabilities, PREDICTED.labels)
    assert matrix.tolist() == [[2, 1, 0], [2, 1, 0], [0, 0, 0]]
    first, second, third = by_class(matrix)
    assert (first.images, first.precision, first.recall) == (3, 2 / 4, 2 / 3)
    assert first.f1 == pytest.approx(2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))
    assert (second.precision, second.recall) == (1 / 2, 1 / 3)
    assert (third.images, third.precision, third.recall, third.f1) == (0, None, None, None)
    mean = {"precision": (2 / 4 + 1 / 2) / 2, "recall": (2 / 3 + 1 / 3) / 2, "f1": (4 / 7 + 2 / 5) / 2}
    assert class_means([first, second, third]) == pytest.approx(mean)
    assert [mistake.index for mistake in metrics.worst_mistakes(PREDICTED, 2)] == [4, 5]
    assert [mistake.index for mistake in metrics.worst_mistakes(PREDICTED, 9)] == [4, 5, 2]


def test_calibration_error_is_that_counted_by_hand() -> None:
    error, bins = calibration(PREDICTED.probabilities, PREDICTED.labels)
    # one image a bin but the last, which holds both of 1.0, each of them wrong
    expected = (0.1 + 0.2 + 0.6 + 0.3 + 1.0 + 1.0) / 6
    assert error == pytest.approx(expected, abs=1e-6)
    assert [each.images for each in bins if each.images] == [1, 1, 1, 1, 2]
    assert (bins[-1].accuracy, bins[-1].confidence, bins[-1].high) == (0.0, 1.0, 1.0)


def test_interval_of_a_share_is_wilson_s() -> None:
    assert metrics.wilson(0.9, 100) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    low, high = metrics.wilson(1.0, 10)
    assert 0.72 < low < 0.73
    assert high == pytest.approx(1.0)


def test_texts_are_readable_in_both_schemes() -> None:
    template = Path(zoo.__file__).parents[1] / "plugins/zoo_results/templates/report.html.j2"
    schemes = re.findall(r":root \{(.*?)\}", template.read_text(), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colors = dict(re.findall(r"--(\w+): (#\w{6})", scheme))
        for text in ("text", "soft", "accent", "bad", "gray"):
            for behind in ("page", "panel"):
                wanted = 3 if text == "gray" else 4.5  # zeros of the matrix and a line
                assert contrast(colors[text], colors[behind]) >= wanted, (text, behind)


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colors as WCAG 2.2 defines it."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.full  # needs Chromium; the standard parser checks the same page above
def test_browser_shows_it_on_a_phone_and_in_the_dark(run_zoo: Zoo, hostile: Path) -> None:
    assert run_zoo("report", hostile).status == 0
    for width, is_dark in ((390, False), (1200, True)):
        seen = browser.look(hostile / "report.html", width, is_dark=is_dark)
        assert (seen["wide"], seen["scrolls"]) == ([], False)  # nothing is wider than the window
        assert (seen["scripts"], seen["hacked"]) == (0, False)
        assert seen["images"] == seen["all_images"] == 24
        assert len(seen["headings"]) == 7
        assert HOSTILE[0] in seen["title"]
        assert seen["background"] == ("rgb(20, 23, 28)" if is_dark else "rgb(255, 255, 255)")
        assert json.dumps(seen["headings"]).count("Calibration") == 1
