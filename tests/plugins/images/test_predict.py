"""``zoo predict``: what it takes, exactly the model's predictions, and what is said of bad files."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from zoo_fashion.dataset import FashionMnist
from zoo_images.csv_columns import as_columns_text, parse_columns
from zoo_images.showing import as_csv_text

import zoo
from tests.plugins.images.test_image_folder import encoded, fill, png, write
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from zoo import ImageInput, Registry, cli
from zoo.cli.context import Session
from zoo.images import Prediction, batch_size, border_brightness, expand, prepare

IMAGES, LABELS = FashionMnist().load(None).test[np.arange(200)]
CLASS_NAMES = FashionMnist().load(None).class_names


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    for i, image in enumerate(IMAGES):
        write(folder / f"img{i}.png", png(image[..., 0]))
    return folder


def rows(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)
    return found


def line_with(text: str, said: str) -> str:
    """Return the one line that has a text in it: around it may be others, of libraries."""
    (found,) = [line for line in said.splitlines() if text in line]
    return found


@pytest.mark.parametrize("recipe", ["fashion-cnn", "fashion-cnn-best", "fashion-cnn-fast"])
def test_png_of_a_test_image_is_predicted_exactly_as_that_image(
    run_zoo: Zoo, written: Path, recipe: str, golden: Golden
) -> None:
    done = run_zoo("predict", recipe, written, "--json", "--top", "10")
    assert done.status == 0, done.err
    found = rows(done.out)
    assert [row["file"] for row in found] == [str(written / f"img{i}.png") for i in range(200)]
    expected = zoo.load(recipe).predict(IMAGES)
    for row, probabilities in zip(found, expected, strict=True):
        assert {each["class"]: each["probability"] for each in row["predictions"]} == {
            name: float(share) for name, share in zip(CLASS_NAMES, probabilities, strict=True)
        }
        shares = [each["probability"] for each in row["predictions"]]
        assert shares == sorted(shares, reverse=True)
    right = [row["predictions"][0]["class"] == CLASS_NAMES[label] for row, label in zip(found, LABELS, strict=True)]
    assert np.mean(right) > 0.88
    golden.says(line_with("0 of 200", done.err))


def test_a_thousand_files_are_predicted_in_their_order(run_zoo: Zoo, written: Path) -> None:
    found = rows(run_zoo("predict", "fashion-cnn", *[written] * 5, "--json", "--top", "1").out)
    assert [row["file"] for row in found] == [str(written / f"img{i}.png") for i in range(200)] * 5
    expected = zoo.load("fashion-cnn").predict(np.concatenate([IMAGES] * 5)).max(axis=1)
    assert [row["predictions"][0]["probability"] for row in found] == expected.astype(float).tolist()


def test_no_image_of_fashion_mnist_would_be_inverted() -> None:
    split = FashionMnist().load(None)
    for examples in (split.train, split.test):
        images, _ = examples[np.arange(0, len(examples), 7)]
        assert all(border_brightness(Image.fromarray(image[..., 0])) < 127 for image in images)


@pytest.mark.slow
def test_own_model_predicts_files_as_its_data_set_reads_them(run_zoo: Zoo, tmp_path: Path, registry: Registry) -> None:
    fill(tmp_path / "data", count=20, channels=3)
    settings = {"dataset.size": (12, 10), "dataset.crop": "pad", "dataset.background": 9, "dataset.color_mode": "rgb"}
    options = {"dataset": "image-folder", "data_dir": tmp_path / "data", "registry": registry, "epochs": 2}
    run = zoo.run("small", out=tmp_path / "run", settings=settings, **options)  # type: ignore[arg-type]
    found = rows(run_zoo("predict", run.path, tmp_path / "data", "--json", "--top", "2").out)
    assert len(found) == 40
    loaded = zoo.load(run.path, registry=registry)
    assert loaded.image_input == ImageInput(crop="pad", background=9, inverted=False)
    image = np.full((12, 10, 3), 9, np.uint8)
    image[1:11] = np.asarray(Image.open(found[0]["file"]).resize((10, 10), Image.Resampling.BICUBIC))
    expected = dict(zip(("cat", "dog"), loaded.predict(image[None])[0].tolist(), strict=True))
    seen = {each["class"]: each["probability"] for each in found[0]["predictions"]}
    assert seen == pytest.approx(expected, rel=1e-5)
    assert not any(row["inverted"] for row in found)


def photograph(image: NDArray[np.uint8], *, mode: str = "RGB") -> Image.Image:
    """Return an image as a photograph on white: dark on light, larger, off the center."""
    whole = Image.new("L", (400, 300), 255)
    whole.paste(Image.fromarray(255 - image[..., 0]).resize((196, 196), Image.Resampling.BICUBIC), (150, 60))
    return whole.convert(mode)


@pytest.mark.slow
def test_photographs_on_white_are_inverted_trimmed_and_centred(run_zoo: Zoo, tmp_path: Path, golden: Golden) -> None:
    for i in range(40):
        photograph(IMAGES[i]).save(tmp_path / f"{i}.jpg", quality=95)
    done = run_zoo("predict", "fashion-cnn", tmp_path, "--json")
    found = rows(done.out)
    assert all(row["inverted"] for row in found)
    golden.says(line_with("40 of 40", done.err))
    right = [row["predictions"][0]["class"] == CLASS_NAMES[label] for row, label in zip(found, LABELS, strict=False)]
    assert np.mean(right) > 0.8
    left = run_zoo("predict", "fashion-cnn", tmp_path, "--json", "--invert", "no")
    assert left.err.count("\n") == 1
    golden.says(left.err)
    assert run_zoo("predict", "fashion-cnn", tmp_path, "--json", "--quiet").err == ""
    assert not any(row["inverted"] for row in rows(left.out))
    wrong = [
        row["predictions"][0]["class"] != CLASS_NAMES[label] for row, label in zip(rows(left.out), LABELS, strict=False)
    ]
    assert np.mean(wrong) > 0.6
    golden.says(line_with("40 of 40", run_zoo("predict", "fashion-cnn", tmp_path, "--invert", "yes").err))


@pytest.mark.parametrize("corner", [0, 255])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_drawing_becomes_light_on_dark_and_fills_the_image(corner: int, mode: str) -> None:
    drawing = Image.new("L", (90, 60), corner)
    ImageDraw.Draw(drawing).rectangle((40, 10, 59, 49), fill=255 - corner)
    form = ImageInput(crop="pad", background=0, inverted=True, trimmed=True)
    data = encoded(drawing.convert(mode), "PNG")
    if mode == "RGBA":  # the ground is transparent, and what is drawn stays
        seen = drawing.convert("RGBA")
        seen.putalpha(drawing.point(lambda value: 0 if value == corner else 255))
        data = encoded(seen, "PNG")
    prepared = prepare(data, "it", (28, 28, 1), form, "auto")
    image, inverted = prepared.pixels, prepared.inverted
    if mode == "RGBA" and corner == 0:  # white on nothing: as on white paper, where nobody could see it
        assert (image == 0).all()
        return
    assert inverted == (corner == 255)
    assert (image[:, 7:21] == 255).all()
    assert (image[:, :7] == 0).all()
    assert (image[:, 21:] == 0).all()


def test_uniform_image_is_no_fault() -> None:
    form = ImageInput(crop="pad", background=0, inverted=True, trimmed=True)
    for size in ((1, 1), (1, 9), (300, 2)):
        prepared = prepare(encoded(Image.new("L", size, 250), "PNG"), "it", (28, 28, 1), form, "auto")
        assert (prepared.pixels.shape, prepared.inverted) == ((28, 28, 1), True)


def test_files_folders_patterns_in_order_and_hidden_ones_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "b/img10.png",
        "b/img2.PNG",
        "b/deep/a.webp",
        "b/.hidden.png",
        "b/.git/x.png",
        "b/notes.txt",
        "c.jpg",
        "d[1].png",
    ):
        write(tmp_path / name, b"x")
    assert expand(["c.jpg", "b", "*.png", "d[1].png", "b/*.txt", "-"]).files == [
        "c.jpg", "b/deep/a.webp", "b/img2.PNG", "b/img10.png", "d[1].png", "d[1].png", "b/notes.txt", "-",
    ]  # fmt: skip
    assert expand(["b/**/*.webp"]).files == ["b/deep/a.webp"]
    assert expand(["b/*.png"]).files == expand(["b/*.PNG"]).files == ["b/img2.PNG", "b/img10.png"]
    assert expand(["b/**/*.WebP", "C*.jpg"]).files == ["b/deep/a.webp"]  # of the suffix alone
    (tmp_path / "empty").mkdir()
    sources = expand(["", "empty", "*.gif", "-", "-"])
    assert (sources.files, len(sources.bad)) == (["-"], 4)
    golden.says("\n".join(sources.bad))


def test_standard_input_is_an_image(
    run_zoo: Zoo, written: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    data = (written / "img0.png").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    row, again = rows(run_zoo("predict", "fashion-cnn", "-", written / "img0.png", "--json").out)
    assert (row["file"], [each["class"] for each in row["predictions"]]) == (
        "-",
        [each["class"] for each in again["predictions"]],
    )
    # an image's place in a batch may decide the last bits
    assert [each["probability"] for each in row["predictions"]] == pytest.approx(
        [each["probability"] for each in again["predictions"]], rel=1e-4
    )
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    done = run_zoo("predict", "fashion-cnn", "-")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 3)
    golden.says(done.err)


def test_names_on_standard_input_and_pipes_are_told(
    run_zoo: Zoo, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    names = "".join(f"{written / name}\n" for name in ("img0.png", "img1.png"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(names.encode())))
    done = run_zoo("predict", "fashion-cnn", "-")
    assert (done.status, done.out) == (1, "")
    golden.says("\n".join(done.err.splitlines()[-2:]))  # what is wrong, and that it is an error
    os.mkfifo(tmp_path / "pipe")
    reading, writing = os.pipe()  # as a shell's <(command)
    monkeypatch.setattr("zoo.utils.keras_import.import_keras", lambda: pytest.fail("Keras was waited for"))
    done = run_zoo("predict", "fashion-cnn", tmp_path / "pipe", f"/dev/fd/{reading}")
    os.close(reading)
    os.close(writing)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 3)
    assert str(tmp_path / "pipe") in done.err
    assert f"/dev/fd/{reading}" in done.err
    golden.says(done.err.replace(f"/dev/fd/{reading}", "/dev/fd/N"))


@pytest.mark.slow
def test_model_of_arrays_says_that_nothing_is_inverted(
    run_zoo: Zoo, tmp_path: Path, registry: Registry, golden: Golden
) -> None:
    arrays = {"images": IMAGES[:60], "labels": LABELS[:60] % 2}
    np.savez(tmp_path / "a.npz", allow_pickle=False, **arrays)
    options: Any = {"dataset": "npz", "data_dir": tmp_path / "a.npz", "epochs": 1, "validation": 0}
    run = zoo.train("small", registry=registry, out=tmp_path / "run", **options)
    photograph(IMAGES[0]).save(tmp_path / "light.png")
    for option, count in (("auto", 1), ("no", 0), ("yes", 0)):
        done = run_zoo("predict", run.path, tmp_path / "light.png", "--json", "--invert", option)
        assert (done.status, done.err.count("--invert yes")) == (0, count)
        assert rows(done.out)[0]["inverted"] is (option == "yes")
        if count:
            golden.says(line_with("--invert yes", done.err))
    assert run_zoo("predict", run.path, tmp_path / "light.png", "--quiet").err == ""


def test_csv_and_text(run_zoo: Zoo, written: Path) -> None:
    files = [written / f"img{i}.png" for i in range(3)]
    expected = rows(run_zoo("predict", "fashion-cnn", *files, "--json", "--top", "2").out)
    table = list(csv.DictReader(io.StringIO(run_zoo("predict", "fashion-cnn", *files, "--csv", "--top", "2").out)))
    assert list(table[0]) == ["file", "inverted", "rank", "class", "probability"]
    assert [(row["file"], row["rank"], row["class"], float(row["probability"])) for row in table] == [
        (row["file"], str(rank), each["class"], each["probability"])
        for row in expected
        for rank, each in enumerate(row["predictions"], 1)
    ]
    lines = run_zoo("predict", "fashion-cnn", *files, "--top", "99").out.splitlines()
    assert [line.count("%") for line in lines] == [10, 10, 10]
    assert lines[0].startswith(f"{files[0]}  Ankle boot 100.0%, Sneaker 0.0%, ")
    done = run_zoo("predict", "fashion-cnn", *files, "--csv", "--json")
    assert (done.status, done.out) == (2, "")


def test_csv_has_no_formula(run_zoo: Zoo, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["=1+1.png", "+1.png", "@x.png", "-1.png", "a=1.png"]
    for name in names:
        write(tmp_path / name, (written / "img0.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    done = run_zoo("predict", "fashion-cnn", "--csv", "--top", "1", "--", *names)
    found = [row["file"] for row in csv.DictReader(io.StringIO(done.out))]
    assert found == ["./=1+1.png", "./+1.png", "./@x.png", "./-1.png", "a=1.png"]
    assert all(Path(name).is_file() for name in found)
    strange = Prediction(file="a.png", inverted=False, classes=(("=cmd", 0.5), ("-1", 0.3), ("cat", 0.2)))
    found = [row["class"] for row in csv.DictReader(io.StringIO(as_csv_text([strange])))]
    assert found == ["'=cmd", "'-1", "cat"]


def test_csv_of_a_competition(run_zoo: Zoo, written: Path) -> None:
    files = [written / f"img{i}.png" for i in (10, 2, 30)]  # in the order given
    expected = rows(run_zoo("predict", "fashion-cnn", *files, "--json", "--top", "10").out)
    done = run_zoo("predict", "fashion-cnn", *files, "--columns", "id=stem,label=class")
    assert done.out == "id,label\n" + "".join(
        f"{Path(row['file']).stem},{row['predictions'][0]['class']}\n" for row in expected
    )
    done = run_zoo("predict", "fashion-cnn", *files, "--csv", "--columns", "id=name, probabilities")
    table = list(csv.DictReader(io.StringIO(done.out)))
    assert list(table[0]) == ["id", *CLASS_NAMES]
    for line, row in zip(table, expected, strict=True):
        assert line.pop("id") == Path(row["file"]).name
        assert {name: float(share) for name, share in line.items()} == {
            each["class"]: each["probability"] for each in row["predictions"]
        }
    done = run_zoo("predict", "fashion-cnn", *files, "--columns", "file,Confidence=probability,inverted")
    assert done.out.splitlines()[1] == f"{files[0]},{expected[0]['predictions'][0]['probability']!r},false"


@pytest.mark.parametrize(
    "options",
    [
        ["--columns", "id=stems"],
        ["--columns", ""],
        ["--columns", "all=probabilities"],
        ["--columns", "id=stem,id=class"],
        ["--columns", "class, file,class"],
        ["--columns", "class", "--json"],
        ["--columns", "class", "--top", "3"],
    ],
)
def test_wrong_columns_are_refused(run_zoo: Zoo, written: Path, options: list[str], golden: Golden) -> None:
    done = run_zoo("predict", "fashion-cnn", written, *options)
    assert (done.status, done.out) == (2, "")
    golden.says(done.err.splitlines()[-1])


def test_files_with_the_same_name_in_the_columns_are_warned_of(run_zoo: Zoo, tmp_path: Path, golden: Golden) -> None:
    for name in ("a/1.png", "b/1.png", "b/1.bmp"):
        write(tmp_path / name, encoded(Image.fromarray(IMAGES[0][..., 0]), name[-3:].upper()))
    for columns, count in (("stem", 2), ("name", 1), ("file,stem", 0)):
        done = run_zoo("predict", "fashion-cnn", tmp_path, "--columns", columns, "--quiet")
        assert (done.status, done.out.count("\n")) == (0, 4)
        assert f"{count} file" in done.err if count else not done.err
    golden.says(run_zoo("predict", "fashion-cnn", tmp_path, "--columns", "name", "--quiet").err)


def test_columns_have_no_formula(run_zoo: Zoo, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("=1+1.png", "-1.png"):
        write(tmp_path / name, (written / "img0.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    done = run_zoo("predict", "fashion-cnn", "--columns", "file,name,stem", "--", "=1+1.png", "-1.png")
    assert done.out == "file,name,stem\n./=1+1.png,'=1+1.png,'=1+1\n./-1.png,'-1.png,'-1\n"
    strange = Prediction(file="a.png", inverted=False, classes=(("=cmd", 0.75), ("cat", 0.25)))
    text = as_columns_text([strange], parse_columns("class,probabilities"), ("cat", "=cmd"))
    assert text == "class,cat,'=cmd\n'=cmd,0.25,0.75\n"


@pytest.mark.parametrize(
    ("shape", "size"), [((28, 28, 1), 500), ((224, 224, 3), 445), ((4096, 4096, 3), 1), ((9000, 9000, 3), 1)]
)
def test_batch_is_64_mib_of_pixels_or_one_image(shape: tuple[int, int, int], size: int) -> None:
    assert batch_size(shape) == size


def test_model_for_other_channels_is_refused_once(
    run_zoo: Zoo, tmp_path: Path, registry: Registry, golden: Golden
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 2), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 2)
    run = zoo.train(
        "small", dataset="npz", data_dir=tmp_path / "a.npz", registry=registry, epochs=1, out=tmp_path / "run"
    )
    done = run_zoo("predict", run.path, "one.png", "two.png")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "(8, 8, 2)" in done.err
    golden.says(done.err)


def test_bad_files_are_named_and_counted(run_zoo: Zoo, written: Path, tmp_path: Path, golden: Golden) -> None:
    write(tmp_path / "text.png", b"no image")
    cut = (written / "img1.png").read_bytes()[:200]
    odd = write(tmp_path / os.fsdecode(b"\xff\n\x1b[2J.png"), cut)
    arguments = ["predict", "fashion-cnn", written / "img0.png", tmp_path, tmp_path / "gone.png", "--json"]
    done = run_zoo(*arguments)
    assert done.status == 1
    assert [row["file"] for row in rows(done.out)] == [str(written / "img0.png")]
    golden.says(line_with(f"{tmp_path}/text.png", done.err))
    assert f"{tmp_path}/\\udcff\\n\\x1b[2J.png" in done.err  # the rest is in Pillow's words
    golden.says(line_with(f"{tmp_path}/gone.png", done.err))
    assert "\x1b" not in done.err
    golden.says(line_with("3 of 4", done.err))
    done = run_zoo(*arguments, "--skip-bad")
    assert (done.status, len(rows(done.out))) == (0, 1)
    golden.says(line_with("3 of 4", done.err))
    done = run_zoo("predict", "fashion-cnn", tmp_path, "--skip-bad", "--csv")
    assert (done.status, done.out) == (1, "file,inverted,rank,class,probability\n")
    golden.says(done.err.splitlines()[-1])
    odd.write_bytes((written / "img1.png").read_bytes())
    for option in ("--csv", "--quiet"):
        done = run_zoo("predict", "fashion-cnn", odd, option)
        assert done.status == 0
        assert "\\udcff\\n\\x1b[2J.png" in done.out
        assert "\x1b" not in done.out
    assert rows(run_zoo("predict", "fashion-cnn", odd, "--json").out)[0]["file"] == str(odd)


@pytest.mark.parametrize("run", ["fashion-cn", "nowhere", "vit-tiny"])
def test_run_that_cannot_be_had_is_told_at_once(
    run_zoo: Zoo, written: Path, run: str, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    def never() -> None:
        raise AssertionError("Keras was waited for")

    monkeypatch.setattr("zoo.utils.keras_import.import_keras", never)
    done = run_zoo("predict", run, written)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert run in done.err
    golden.says(done.err)


@pytest.mark.slow
def test_reader_that_has_had_enough_is_no_fault_and_a_terminal_gets_a_bar(written: Path) -> None:
    command = [sys.executable, "-m", "zoo", "predict", "fashion-cnn", str(written), "--csv", "--top", "10"]
    terminal, theirs = pty.openpty()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        os.close(theirs)
        seen = b""
        try:
            while block := os.read(terminal, 4096):
                seen += block
        except OSError:  # a terminal ends so
            pass
        assert process.wait(120) in (0, 1)
    os.close(terminal)
    assert b"predicting" in seen
    assert b"100%" in seen
    assert b"Traceback" not in seen
    assert b"Error" not in seen


def test_names_of_trained_recipes_are_completed(registry: Registry) -> None:
    session = Session()
    session.registry = registry
    root = cli.cli.make_context("zoo", ["list"], obj=session, resilient_parsing=True)
    command = cli.cli.get_command(root, "predict")
    assert command is not None
    context = command.make_context("predict", [], parent=root, resilient_parsing=True)
    (argument,) = [each for each in command.params if each.name == "run"]
    assert [item.value for item in argument.shell_complete(context, "fash")] == [
        "fashion-cnn",
        "fashion-cnn-best",
        "fashion-cnn-fast",
    ]


def test_files_that_are_not_there_are_told_before_keras_is_waited_for(tmp_path: Path, golden: Golden) -> None:
    code = "import sys; from zoo.cli import main\ntry: main(sys.argv[1:])\nfinally: print('keras' in sys.modules)"
    command = [sys.executable, "-c", code, "predict", "fashion-cnn", str(tmp_path / "gone.png"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "False\n")
    assert str(tmp_path / "gone.png") in done.stderr
    golden.says(done.stderr)
