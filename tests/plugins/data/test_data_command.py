"""`zoo data` on the command line: what it prints, as JSON, as a page, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save
from zoo_data import near_copies, pictures, showing

from tests.plugins.data.photographs import photographs, write_folder
from tests.support import browser
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.pages import HOSTILE, Page, check
from tests.support.sealing import seal, unsealed
from tests.support.small_recipe import FashionSlice
from zoo import ArrayExamples, Dataset, Entry, Registry, Run, Split
from zoo.data import digest_of_split, labels_of, prepare_dataset, without_validation
from zoo.runs import OutOfFold

FOLDER = ("data", "image-folder", "--set", "dataset.size=48,48", "--quiet")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 36 photographs, with a JPEG copy in another class and files that cannot be used."""
    root = write_folder(tmp_path / "photos", {"cat": 25, "dog": 6})
    Image.fromarray(photographs()[0]).save(root / "dog" / "again.jpg", quality=92)
    (root / "cat" / "broken.png").write_bytes(b"no picture")
    (root / "cat" / "notes.txt").write_text("no picture")
    return root


def report_of(run_zoo: Zoo, *arguments: str | Path) -> dict[str, Any]:
    done = run_zoo(*arguments, "--json")
    assert (done.status, done.err) == (0, "")
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_folder_is_described_with_copies_and_unusable_files(run_zoo: Zoo, photos: Path) -> None:
    found = report_of(run_zoo, *FOLDER, "--data-dir", photos)
    assert found["dataset"] == "images/image-folder"
    assert found["shape"] == [48, 48, 3]
    assert sum(found["parts"].values()) == 32
    assert set(found["parts"]) == {"train", "validation", "test"}
    for part, count in found["parts"].items():
        assert sum(each[part] for each in found["classes"]) == count
    assert [each["name"] for each in found["skipped"]] == ["cat/broken.png", "cat/notes.txt"]
    assert all(each["reason"] for each in found["skipped"])
    (group,) = found["copies"]["found"]
    assert {image["name"] for image in group["images"]} == {"cat/0.png", "dog/again.jpg"}
    assert group["across_classes"]
    assert not group["is_identical"]
    train = {each["name"]: each["train"] for each in found["classes"]}
    assert found["imbalance"] == train["cat"] / train["dog"]
    weights = {each["name"]: each["weight"] for each in found["classes"]}
    assert weights["dog"] / weights["cat"] == pytest.approx(found["imbalance"])
    assert found["labels"] is None
    assert len(found["advice"]) == 4 + (found["copies"]["leaked"] > 0)


def test_text_says_the_same(run_zoo: Zoo, golden: Golden, photos: Path) -> None:
    done = run_zoo(*FOLDER, "--data-dir", photos)
    assert (done.status, done.err) == (0, "")
    golden.says(done.out)


def test_dataset_without_faults_needs_no_advice(run_zoo: Zoo) -> None:
    found = report_of(run_zoo, "data", "slice", "--quiet")
    assert (found["parts"], found["shape"]) == ({"train": 600, "test": 200}, [28, 28, 1])
    assert (found["advice"], found["skipped"], found["warnings"]) == ([], [], [])
    assert found["pixels"]["images"] == 600  # the test images are not among them


def test_recipe_holds_out_its_validation_images(run_zoo: Zoo, golden: Golden) -> None:
    found = report_of(run_zoo, "data", "small", "--quiet")
    assert (found["parts"], found["held_out"]) == ({"train": 500, "validation": 100, "test": 200}, True)
    other = report_of(run_zoo, "data", "small", "--quiet", "--set", "validation=50", "--set", "dataset.train=300")
    assert other["parts"] == {"train": 250, "validation": 50, "test": 200}
    same = report_of(run_zoo, "data", "slice", "--quiet", "--set", "validation=100")
    assert {**same, "dataset": ""} == {**found, "dataset": ""}
    golden.says(run_zoo("data", "small", "--quiet", "--top", "1").out)


def test_recipe_with_another_dataset_is_described(run_zoo: Zoo, photos: Path) -> None:
    command = ("data", "small", "--dataset", "image-folder", "--data-dir", photos, "--set", "dataset.size=48,48")
    found = report_of(run_zoo, *command, "--quiet")
    assert found == report_of(run_zoo, *FOLDER, "--data-dir", photos)
    alone = report_of(run_zoo, "data", *command[2:], "--quiet")
    assert alone == found


def test_bad_files_are_an_error_if_asked_for(run_zoo: Zoo, photos: Path) -> None:
    done = run_zoo(*FOLDER, "--data-dir", photos, "--set", "dataset.skip_bad=false")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "cat/broken.png" in done.err


def test_progress_is_shown_on_standard_error(run_zoo: Zoo, golden: Golden) -> None:
    done = run_zoo("data", "slice", "--json")
    golden.says(done.err)
    json.loads(done.out)


@dataclass(frozen=True, kw_only=True)
class Odd(Dataset):
    """Images in color of which some are blank, dark or gray."""

    def load(self, data_dir: Path | None) -> Split:
        images = np.random.default_rng(0).integers(0, 120, (20, 16, 16, 3), np.uint8)
        images[0] = 77
        images[1] //= 8
        images[2:5] = images[2:5, ..., :1]
        labels = np.arange(20) % 2
        return Split(
            train=ArrayExamples(images, labels), test=ArrayExamples(images[:4], labels[:4]), class_names=("a", "b")
        )


def test_odd_images_are_counted(run_zoo: Zoo, registry: Registry) -> None:
    registry.datasets.add(Entry(name="odd", target=Odd, summary="Odd images."))
    found = report_of(run_zoo, "data", "odd", "--quiet")
    images, _ = Odd().load(None).train[np.arange(20)]
    pixels = found["pixels"]
    assert pixels["mean"] == pytest.approx(images.mean(axis=(0, 1, 2)).tolist())
    assert pixels["deviation"] == pytest.approx(images.std(axis=(0, 1, 2)).tolist())
    assert (pixels["darkest"], pixels["brightest"]) == (0, images.max())
    assert {name: pixels[name] for name in ("gray", "blank", "dark", "bright")} == {
        "gray": 4, "blank": 1, "dark": 1, "bright": 0
    }  # fmt: skip
    assert found["copies"]["leaked"] == 4
    done = run_zoo("data", "odd", "--quiet")
    assert "\n" in done.out


@pytest.mark.parametrize("blank", ["all", "one", "16 bits"])
def test_blank_images_are_to_be_removed_only_if_they_are_odd_ones(
    run_zoo: Zoo, golden: Golden, tmp_path: Path, blank: str
) -> None:
    random = np.random.default_rng(0)
    for i in range(24):
        image = random.integers(0, 256, (16, 16), np.uint8)
        if blank == "all" or i == 0:
            image[:] = 90 + i
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint16) if blank == "16 bits" else image).save(path)
    settings = ("--set", "dataset.size=16,16")
    found = report_of(run_zoo, "data", "image-folder", "--data-dir", tmp_path / "photos", *settings, "--quiet")
    assert found["pixels"]["blank"] == (1 if blank == "one" else found["pixels"]["images"])
    assert len(found["warnings"]) == (blank == "16 bits")
    golden.says("\n".join(line for line in found["advice"] if "of one brightness" in line))


@dataclass(frozen=True, kw_only=True)
class Frames(Dataset):
    """Images that are all near copies of each other."""

    def load(self, data_dir: Path | None) -> Split:
        rows, columns = np.mgrid[:16, :16]
        scene = (100 + 80 * np.sin(rows / 3) * np.cos(columns / 4)).astype(np.uint8)
        frames = np.repeat(scene[None, ..., None], 12, axis=0)
        frames[:, 0, 0, 0] += np.arange(12, dtype=np.uint8)
        labels = np.arange(12) % 2
        return Split(
            train=ArrayExamples(frames[:8], labels[:8]),
            test=ArrayExamples(frames[8:], labels[8:]),
            class_names=("a", "b"),
        )


@pytest.mark.parametrize("limit", ["_MOST_CLOSE", "MOST_IMAGES"])
def test_search_that_stops_early_is_reported(
    run_zoo: Zoo, registry: Registry, golden: Golden, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    registry.datasets.add(Entry(name="frames", target=Frames, summary="Frames of one scene."))
    assert report_of(run_zoo, "data", "frames", "--quiet")["copies"]["near_pairs"] == 66
    for module in (near_copies, showing):
        monkeypatch.setattr(module, limit, 10, raising=False)
    copies = report_of(run_zoo, "data", "frames", "--quiet")["copies"]
    assert not copies["is_complete"]
    assert 0 < copies["near_pairs"] <= 45
    done = run_zoo("data", "frames", "--quiet")
    golden.says("\n".join(line for line in done.out.splitlines() if "more near copies" in line))


def test_labels_of_a_run_are_checked_with_its_model(run_zoo: Zoo, small_run: Run) -> None:
    done = run_zoo("data", small_run.path, "--labels", "--json", "--quiet")
    assert (done.status, done.err) == (0, "")
    found = json.loads(done.out)
    labels = found["labels"]
    assert labels["images"] == 100 == found["parts"]["validation"]
    assert np.shape(labels["confident_joint"]) == (10, 10)
    assert labels["suspects"] == len(labels["found"])
    for each in labels["found"]:
        assert each["image"]["part"] == "validation"
        assert each["self_confidence"] < each["confidence"]
        assert each["predicted"] != each["image"]["label"]


def out_of_fold(path: Path, wrong: list[int]) -> list[str]:
    """Write predictions for all training images that contradict some labels; return the names of these images."""
    _, labels = FashionSlice().load(None).train[np.arange(600)]
    said = labels.astype(np.int64).copy()
    said[wrong] = (said[wrong] + 1) % 10
    probabilities = np.eye(10, dtype=np.float32)[said] * 0.9 + 0.01
    order = np.random.default_rng(0).permutation(600)
    arrays = {"indices": order, "labels": labels.astype(np.int64)[order], "probabilities": probabilities[order]}
    path.write_bytes(save(arrays))
    return [f"train {i}" for i in wrong]


def test_labels_are_checked_with_out_of_fold_predictions(run_zoo: Zoo, golden: Golden, tmp_path: Path) -> None:
    names = out_of_fold(tmp_path / "out-of-fold.safetensors", [3, 77, 599])
    found = report_of(run_zoo, "data", "small", "--predictions", tmp_path, "--quiet")
    assert found["parts"] == {"train": 600, "test": 200}  # nothing is held out: each was predicted without being seen
    assert sorted(each["image"]["name"] for each in found["labels"]["found"]) == sorted(names)
    assert (found["labels"]["images"], found["labels"]["estimated_errors"]) == (600, 3)
    golden.says(run_zoo("data", "slice", "--predictions", tmp_path, "--quiet").out)


def test_predictions_at_chance_say_nothing_about_labels(run_zoo: Zoo, golden: Golden, tmp_path: Path) -> None:
    _, labels = FashionSlice().load(None).train[np.arange(600)]
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), 600).astype(np.float32)
    arrays: list[NDArray[Any]] = [np.arange(600), labels.astype(np.int64), probabilities]
    content = save(dict(zip(("indices", "labels", "probabilities"), arrays, strict=True)))
    (tmp_path / "out-of-fold.safetensors").write_bytes(content)
    command = ("data", "slice", "--predictions", tmp_path, "--html", tmp_path / "a.html", "--quiet")
    report = report_of(run_zoo, *command)
    found = report["labels"]
    assert (found["is_better_than_chance"], found["suspects"], found["found"]) == (False, 0, [])
    assert report["advice"] == []
    golden.says(run_zoo(*command).out.splitlines()[-1])
    page = Page(tmp_path / "a.html")
    check(page)
    assert not [image for image in page.all("img") if ": labeled" in str(image["alt"])]
    out_of_fold(tmp_path / "out-of-fold.safetensors", [3])
    assert report_of(run_zoo, *command)["labels"]["is_better_than_chance"]


@dataclass(frozen=True, kw_only=True)
class Many(Dataset):
    """Images of many classes, with validation images of its own."""

    classes: int = 201

    def load(self, data_dir: Path | None) -> Split:
        labels = np.repeat(np.arange(self.classes), 3)
        images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 1), np.uint8)
        train = ArrayExamples(images, labels)
        some = ArrayExamples(images[::3], labels[::3])
        names = tuple(f"class {i}" for i in range(self.classes))
        return Split(train=train, validation=some, test=some, class_names=names)


@pytest.mark.parametrize("classes", [200, 201])
def test_predictions_of_cross_validation_are_those_of_all_images(
    run_zoo: Zoo, registry: Registry, tmp_path: Path, classes: int
) -> None:
    registry.datasets.add(Entry(name="many", target=Many, summary="Images of many classes."))
    split = without_validation(Many(classes=classes).load(None))
    labels = labels_of(split.train, classes)
    predicted = labels.copy()
    wrong = [5, classes * 3 + 7]  # a training image, and one of the dataset's own validation images
    predicted[wrong] = (predicted[wrong] + 1) % classes
    probabilities = np.full((len(labels), classes), 0.1 / (classes - 1), np.float32)
    probabilities[np.arange(len(labels)), predicted] = 0.9
    OutOfFold(indices=np.arange(len(labels)), labels=labels, probabilities=probabilities).write(tmp_path)
    given = ("--set", f"dataset.classes={classes}", "--predictions", tmp_path, "--quiet")
    found = report_of(run_zoo, "data", "many", *given)["labels"]
    assert (found["images"], found["suspects"]) == (classes * 4, 2)
    images = {(each["image"]["part"], each["image"]["index"]): each["predicted"] for each in found["found"]}
    assert images == {("train", 5): "class 2", ("validation", 7): "class 8"}
    if classes <= 200:
        matrix = np.array(found["confident_joint"])
        assert (matrix.shape, matrix.sum(), matrix[1, 2], matrix[7, 8]) == ((classes, classes), len(labels), 1, 1)
    else:
        assert found["confident_joint"] is None


def test_predictions_of_other_images_are_refused(run_zoo: Zoo, tmp_path: Path) -> None:
    for name in ("mine", "other"):
        for label, kind in enumerate(("cat", "dog")):
            for i in range(12):
                (tmp_path / name / kind).mkdir(parents=True, exist_ok=True)
                pixels = np.random.default_rng([label, i, len(name)]).integers(0, 256, (8, 8), np.uint8)
                Image.fromarray(pixels).save(tmp_path / name / kind / f"{i}.png")
    loaded = prepare_dataset("image-folder", data_dir=tmp_path / "mine").load()
    labels = labels_of(without_validation(loaded).train, 2)
    digest = np.frombuffer(digest_of_split(loaded), np.uint8)
    probabilities = np.eye(2, dtype=np.float32)[labels]
    OutOfFold(indices=np.arange(len(labels)), labels=labels, probabilities=probabilities, data=digest).write(tmp_path)
    call = partial(run_zoo, "data", "image-folder", "--predictions", tmp_path, "--json", "--quiet", "--data-dir")
    assert call(tmp_path / "mine").status == 0
    for changed in ((tmp_path / "other",), (tmp_path / "mine", "--set", "dataset.split_seed=1")):
        done = call(*changed)
        assert (done.status, done.out) == (1, "")


class Reads:
    """Examples without stored labels, which note how many are read at once."""

    def __init__(self, examples: ArrayExamples) -> None:
        self.examples = examples
        self.counts: list[int] = []

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, indices: NDArray[np.intp], /) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        self.counts.append(len(indices))
        return self.examples[indices]


def add_noted(registry: Registry) -> Reads:
    """Add a dataset whose reads of training images are noted, and return these."""
    slice_ = FashionSlice().load(None)
    reads = Reads(ArrayExamples(*slice_.train[np.arange(600)]))

    class Noted(FashionSlice):
        def load(self, data_dir: Path | None) -> Split:
            return Split(train=reads, test=slice_.test, class_names=slice_.class_names)

    registry.datasets.add(Entry(name="noted", target=Noted, summary="The slice, with its reads noted."))
    return reads


def test_missing_predictions_are_reported_before_images_are_read(run_zoo: Zoo, registry: Registry) -> None:
    reads = add_noted(registry)
    assert run_zoo("data", "noted", "--quiet", "--predictions", "nowhere").status == 1
    assert sum(reads.counts) <= 1  # one, for the shape


def test_folder_of_a_sweep_is_passed_as_predictions(run_zoo: Zoo, golden: Golden, tmp_path: Path) -> None:
    out_of_fold(tmp_path / "out-of-fold.safetensors", [])
    for more in ((), ("--labels",)):
        done = run_zoo("data", tmp_path, "--quiet", *more)
        assert (done.status, done.out) == (2, "")
        golden.says(done.err)


def test_run_of_a_fold_is_described_with_the_parts_of_its_dataset(
    run_zoo: Zoo, golden: Golden, small_run: Run, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(small_run.path, tmp_path / "run"))
    content = unsealed(folder / "run.json")
    content["recipe"]["fold"] = [1, 3]
    content["data"] |= {"train": 400, "validation": 200}
    (folder / "run.json").write_bytes(seal(content))
    found = report_of(run_zoo, "data", folder, "--quiet")
    assert (found["parts"], found["held_out"]) == ({"train": 600, "test": 200}, False)
    done = run_zoo("data", folder, "--labels", "--quiet")
    assert (done.status, done.out) == (1, "")
    golden.says(done.err)


def test_predictions_of_other_data_are_refused(run_zoo: Zoo, golden: Golden, tmp_path: Path) -> None:
    out_of_fold(tmp_path / "a.safetensors", [])
    done = run_zoo(
        "data", "slice", "--set", "dataset.train=500", "--predictions", tmp_path / "a.safetensors", "--quiet"
    )
    assert (done.status, done.out) == (1, "")
    golden.says(done.err)
    arrays = {"indices": np.arange(600), "labels": np.zeros(600, np.int64), "probabilities": np.full((600, 10), 0.1)}
    (tmp_path / "b.safetensors").write_bytes(save(arrays))
    done = run_zoo("data", "slice", "--predictions", tmp_path / "b.safetensors", "--quiet")
    assert (done.status, done.out) == (1, "")
    golden.says(done.err)


@pytest.mark.parametrize("changes", [{"status": "imported"}, {"validation": 0}], ids=["imported", "no validation"])
def test_run_without_images_of_its_own_says_so(
    run_zoo: Zoo, golden: Golden, small_run: Run, tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = Path(shutil.copytree(small_run.path, tmp_path / "run"))
    content = unsealed(folder / "run.json")
    content["status"] = changes.get("status", content["status"])
    content["data"]["validation"] = changes.get("validation", content["data"]["validation"])
    (folder / "run.json").write_bytes(seal(content))
    done = run_zoo("data", folder, "--labels", "--quiet")
    assert (done.status, done.out) == (1, "")
    golden.says(done.err)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["nothing"], 1),
        (["fashion-mnits"], 1),
        (["."], 1),
        (["small", "--labels"], 1),
        (["slice", "--labels"], 1),
        (["fashion-cnn", "--labels", "--dataset", "digits"], 2),
        (["fashion-cnn", "--labels", "--predictions", "x"], 2),
        (["slice", "--html", "page.txt"], 2),
        (["slice", "--html", "nowhere/page.html"], 1),
        (["slice", "--set", "dataset.size=3"], 1),
        (["slice", "--set", "validation=-1"], 1),
        (["slice", "--set", "validation=600"], 1),
        (["small", "--set", "model.dropout=0.1"], 1),
        (["image-folder"], 1),
        (["--dataset", "small"], 1),
        (["slice", "--predictions", "nowhere"], 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_fault_is_one_clear_line(
    run_zoo: Zoo, golden: Golden, arguments: list[str], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_zoo("data", *arguments, "--quiet")
    assert (done.status, done.out, [*tmp_path.iterdir()]) == (status, "", [])
    (line,) = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    golden.says(line)


def test_page_shows_samples_copies_and_files(run_zoo: Zoo, photos: Path, tmp_path: Path) -> None:
    done = run_zoo(*FOLDER, "--data-dir", photos, "--html", tmp_path / "a.html")
    assert done.status == 0
    page = Page(tmp_path / "a.html")
    check(page)
    sections = ["classes", "samples", "pixels", "copies", "skipped"]
    assert [attributes["id"] for tag, attributes in page.tags if tag == "h2"] == sections
    for text in ("cat/0.png", "dog/again.jpg", "cat/broken.png", "different labels"):
        assert text in page.text
    assert page.text.count("cat/broken.png") == 1
    alts = [str(image["alt"]) for image in page.all("img")]
    assert {"dog: dog/again.jpg", "cat: cat/0.png"} <= set(alts)


def test_page_shows_doubtful_labels(run_zoo: Zoo, tmp_path: Path) -> None:
    names = out_of_fold(tmp_path / "out-of-fold.safetensors", [3, 77, 599])
    done = run_zoo("data", "slice", "--predictions", tmp_path, "--html", tmp_path / "a.html", "--quiet")
    assert done.status == 0
    page = Page(tmp_path / "a.html")
    check(page)
    suspects = [str(image["alt"]) for image in page.all("img") if ": labeled" in str(image["alt"])]
    assert sorted(alt.split(":")[0] for alt in suspects) == sorted(names)


def test_page_reads_no_images_but_those_that_it_shows(run_zoo: Zoo, registry: Registry, tmp_path: Path) -> None:
    reads = add_noted(registry)
    assert run_zoo("data", "noted", "--quiet", "--html", tmp_path / "a.html").status == 0
    assert sum(count for count in reads.counts if count > 1) == 600  # once, for the scan
    check(Page(tmp_path / "a.html"))


@dataclass(frozen=True, kw_only=True)
class Hostile(FashionSlice):
    """The slice with names of classes, images and files that try to be code, and a copy of an image."""

    def load(self, data_dir: Path | None) -> Split:
        split = super().load(data_dir)
        images, labels = split.train[np.arange(100)]
        images[1] = images[0]
        return Split(
            train=ArrayExamples(images, labels),
            test=split.test,
            class_names=HOSTILE,
            skipped_files=HOSTILE,
            skipped_reasons=HOSTILE[::-1],
            train_ids=HOSTILE * 10,
        )


def test_names_stay_text(run_zoo: Zoo, registry: Registry, tmp_path: Path) -> None:
    registry.datasets.add(Entry(name="hostile", target=Hostile, summary="The slice, renamed."))
    done = run_zoo("data", "hostile", "--quiet", "--html", tmp_path / "a.html")
    assert (done.status, done.err) == (0, "")
    assert "\u202e" not in done.out
    page = Page(tmp_path / "a.html")
    check(page)
    for name in HOSTILE:
        assert name.replace("\u202e", "") in page.text
    assert "\u202e" not in page.source
    assert page.all("b") == page.all("i") == []


@pytest.mark.parametrize(("limit", "value"), [("_MOST", 5), ("_BYTES", 8000)])
def test_page_has_no_more_pictures_than_allowed(
    run_zoo: Zoo, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(pictures, limit, value)
    assert run_zoo(*FOLDER, "--data-dir", photos, "--html", tmp_path / "a.html").status == 0
    page = Page(tmp_path / "a.html")
    check(page)
    shown = page.all("img")
    assert 0 < len(shown) <= 5
    assert "cat/0.png" in page.text  # without room, a picture's name stays
    assert sum(len(image["src"] or "") for image in shown) <= 100_000


def test_skipped_reasons_must_be_those_of_the_files(run_zoo: Zoo, registry: Registry, golden: Golden) -> None:
    class Wrong(FashionSlice):
        def load(self, data_dir: Path | None) -> Split:
            split = super().load(data_dir)
            return Split(train=split.train, test=split.test, class_names=split.class_names, skipped_reasons=("why",))

    registry.datasets.add(Entry(name="wrong", target=Wrong, summary="A reason without a file."))
    done = run_zoo("data", "wrong", "--quiet")
    assert done.status == 1
    golden.says(done.err)


@pytest.mark.slow
def test_tensorflow_is_not_imported(tmp_path: Path, photos: Path) -> None:
    code = (
        "import sys\nfrom zoo.cli import main\n"
        "try:\n main(sys.argv[1:])\n"
        "finally:\n print({'keras', 'tensorflow', 'jax'} & set(sys.modules), file=sys.stderr)"
    )
    arguments = [*FOLDER, "--data-dir", str(photos), "--html", str(tmp_path / "a.html")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "set()\n")


@pytest.mark.full
@pytest.mark.skipif(not browser.PROGRAM, reason="needs Chromium")
@pytest.mark.parametrize("width", browser.WIDTHS.values(), ids=browser.WIDTHS)
def test_page_fits_a_screen(run_zoo: Zoo, photos: Path, tmp_path: Path, width: int) -> None:
    assert run_zoo(*FOLDER, "--data-dir", photos, "--html", tmp_path / "a.html").status == 0
    seen = browser.look(tmp_path / "a.html", width)
    assert (seen["wide"], seen["scrolls"], seen["scripts"]) == ([], False, 0)
    assert seen["images"] == seen["all_images"] > 0
