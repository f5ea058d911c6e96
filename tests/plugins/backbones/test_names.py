"""Names of layers in weights of other libraries: every module of a file has its layer, and every layer a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from zoo_backbones import names

from tests.plugins.backbones.networks import network

Rename = Callable[[str], str | None]


def numbered(name: str, *numbers: int) -> list[str]:
    return [f"{name}.{number}" for number in numbers]


def package_lite0() -> Iterator[str]:
    yield from ("_conv_stem", "_bn0", "_conv_head", "_bn1", "_fc")
    for block in range(16):
        modules = ["_depthwise_conv", "_bn1", "_project_conv", "_bn2"] + ["_expand_conv", "_bn0"] * (block > 0)
        yield from (f"_blocks.{block}.{module}" for module in modules)


SEPARABLE = ["conv_dw", "bn1", "conv_pw", "bn2"]
INVERTED = ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"]
SQUEEZE = ["se.conv_reduce", "se.conv_expand"]


def timm_blocks(repeats: list[int], modules: Callable[[int], list[str]]) -> Iterator[str]:
    for stage, count in enumerate(repeats):
        for number in range(count):
            yield from (f"blocks.{stage}.{number}.{module}" for module in modules(stage))


def timm_lite0() -> Iterator[str]:
    yield from ("conv_stem", "bn1", "conv_head", "bn2", "classifier")
    yield from timm_blocks([1, 2, 2, 3, 3, 4, 1], lambda stage: INVERTED if stage else SEPARABLE)


def timm_v2_b0() -> Iterator[str]:
    yield from ("conv_stem", "bn1", "conv_head", "bn2", "classifier")
    kinds = [["conv", "bn1"], *[["conv_exp", "bn1", "conv_pwl", "bn2"]] * 2, *[INVERTED + SQUEEZE] * 3]
    yield from timm_blocks([1, 2, 2, 3, 5, 8], lambda stage: kinds[stage])


def timm_mobilenet() -> Iterator[str]:
    yield from ("conv_stem", "bn1", "blocks.5.0.conv", "blocks.5.0.bn1")
    kinds = [SEPARABLE + SQUEEZE, INVERTED, *[INVERTED + SQUEEZE] * 3]
    yield from timm_blocks([1, 2, 3, 2, 3], lambda stage: kinds[stage])


def torchvision_resnet() -> Iterator[str]:
    yield from ("conv1", "bn1", "fc")
    for stage, count in enumerate([3, 4, 6, 3], 1):
        yield from numbered(f"layer{stage}.0.downsample", 0, 1)
        for block in range(count):
            yield from (f"layer{stage}.{block}.{kind}{number}" for kind in ("conv", "bn") for number in (1, 2, 3))


def torchvision_densenet(dot: str = "") -> Iterator[str]:
    yield from ("features.conv0", "features.norm0", "features.norm5", "classifier")
    for block, count in enumerate([6, 12, 24, 16], 1):
        for layer in range(1, count + 1):
            for kind in ("norm", "conv"):
                yield from (f"features.denseblock{block}.denselayer{layer}.{kind}{dot}{number}" for number in (1, 2))
    for number in (1, 2, 3):
        yield from (f"features.transition{number}.{kind}" for kind in ("norm", "conv"))


DEPTHS = [3, 3, 9, 3]


def timm_convnext() -> Iterator[str]:
    yield from ("stem.0", "stem.1", "head.norm", "head.fc")
    for stage, depth in enumerate(DEPTHS):
        if stage:
            yield from numbered(f"stages.{stage}.downsample", 0, 1)
        for block in range(depth):
            name = f"stages.{stage}.blocks.{block}"
            yield from (name, f"{name}.conv_dw", f"{name}.norm", f"{name}.mlp.fc1", f"{name}.mlp.fc2")


def authors_convnext() -> Iterator[str]:
    yield from ("norm", "head")
    for stage, depth in enumerate(DEPTHS):
        yield from numbered(f"downsample_layers.{stage}", 0, 1)
        for block in range(depth):
            name = f"stages.{stage}.{block}"
            yield from (name, f"{name}.dwconv", f"{name}.norm", f"{name}.pwconv1", f"{name}.pwconv2")


def torchvision_convnext() -> Iterator[str]:
    yield from ("classifier.0", "classifier.2")
    for stage, depth in enumerate(DEPTHS):
        yield from numbered(f"features.{2 * stage}", 0, 1)
        for block in range(depth):
            name = f"features.{2 * stage + 1}.{block}"
            yield from (name, *numbered(f"{name}.block", 0, 2, 3, 5))


FILES: dict[str, tuple[str, Rename, Callable[[], Iterator[str]]]] = {
    "lite0, package": ("efficientnet-lite0", names.efficientnet_lite0, package_lite0),
    "lite0, timm": ("efficientnet-lite0", names.efficientnet_lite0, timm_lite0),
    "v2-b0, timm": ("efficientnet-v2-b0", names.efficientnet_v2_b0, timm_v2_b0),
    "mobilenet, timm": ("mobilenet-v3-small", names.mobilenet_v3_small, timm_mobilenet),
    "resnet": ("resnet-50", names.resnet_50, torchvision_resnet),
    "densenet": ("densenet-121", names.densenet_121, torchvision_densenet),
    "densenet, torchvision's files": ("densenet-121", names.densenet_121, lambda: torchvision_densenet(".")),
    "convnext, timm": ("convnext-tiny", names.convnext_tiny, timm_convnext),
    "convnext, authors": ("convnext-tiny", names.convnext_tiny, authors_convnext),
    "convnext, torchvision": ("convnext-tiny", names.convnext_tiny, torchvision_convnext),
}


def layers_with_weights(name: str) -> list[str]:
    """Return the names of a network's layers with weights, those inside of others included."""
    layers = [layer for layer in network(name)._flatten_layers(include_self=False) if layer._trainable_variables]
    return [layer.name for layer in layers]


@pytest.mark.parametrize("file", FILES)
def test_modules_of_a_file_are_the_layers_of_the_network(file: str) -> None:
    name, rename, modules = FILES[file]
    found = [rename(module) for module in modules()]
    assert None not in found
    expected = layers_with_weights(name)
    if name == "mobilenet-v3-small":  # its classifier has a hidden layer in timm
        expected.remove("predictions")
    assert sorted(map(str, found)) == sorted(expected)


EXAMPLES = [
    (names.efficientnet_lite0, "_blocks.0._depthwise_conv", "block1a_dwconv"),
    (names.efficientnet_lite0, "_blocks.15._bn0", "block7a_expand_bn"),
    (names.efficientnet_lite0, "blocks.0.0.conv_pw", "block1a_project_conv"),
    (names.efficientnet_lite0, "blocks.1.0.conv_pw", "block2a_expand_conv"),
    (names.efficientnet_lite0, "blocks.5.3.bn3", "block6d_project_bn"),
    (names.efficientnet_v2_b0, "blocks.0.0.conv", "block1a_project_conv"),
    (names.efficientnet_v2_b0, "blocks.5.7.se.conv_expand", "block6h_se_expand"),
    (names.mobilenet_v3_small, "blocks.0.0.conv_dw", "expanded_conv_depthwise"),
    (names.mobilenet_v3_small, "blocks.4.2.bn3", "expanded_conv_10_project_bn"),
    (names.resnet_50, "layer1.0.downsample.0", "conv2_block1_0_conv"),
    (names.resnet_50, "layer4.2.bn3", "conv5_block3_3_bn"),
    (names.densenet_121, "features.denseblock1.denselayer1.norm1", "conv2_block1_0_bn"),
    (names.densenet_121, "features.denseblock4.denselayer16.conv2", "conv5_block16_2_conv"),
    (names.densenet_121, "features.transition3.conv", "pool4_conv"),
    (names.convnext_tiny, "stages.2.blocks.8", "convnext_tiny_stage_2_block_8_layer_scale"),
    (names.convnext_tiny, "stages.1.downsample.1", "convnext_tiny_downsampling_conv_0"),
    (names.convnext_tiny, "features.7.2.block.5", "convnext_tiny_stage_3_block_2_pointwise_conv_2"),
    (names.convnext_tiny, "layer_normalization_12", "convnext_tiny_head_layernorm"),
]


@pytest.mark.parametrize(("rename", "module", "layer"), EXAMPLES)
def test_module_has_its_layer(rename: Rename, module: str, layer: str) -> None:
    assert rename(module) == layer


UNKNOWN = [
    (names.efficientnet_lite0, ["_blocks.16._bn1", "_blocks.0._bn0", "_blocks.0._expand_conv", "_blocks.1.conv", "fc"]),
    (names.efficientnet_lite0, ["blocks.7.0.bn1", "blocks.1.2.bn1", "blocks.0.0.bn3", "blocks.1.0.se.conv_reduce"]),
    (names.efficientnet_v2_b0, ["blocks.6.0.bn1", "blocks.0.1.conv", "blocks.3.0.conv_exp", "stem_conv"]),
    (names.mobilenet_v3_small, ["conv_head", "classifier", "blocks.1.0.se.conv_reduce", "blocks.5.1.conv"]),
    (names.resnet_50, ["layer1.3.conv1", "layer1.1.downsample.0", "layer5.0.conv1", "layer1.0.conv4", "layer1.0"]),
    (names.densenet_121, ["features.denseblock1.denselayer7.norm1", "features.transition4.conv", "conv0"]),
    (names.convnext_tiny, ["stages.0.downsample.0", "stages.0.blocks.3", "features.8.0", "stem.2", "stages.2"]),
]


@pytest.mark.parametrize(("rename", "modules"), UNKNOWN)
def test_unknown_module_has_no_layer(rename: Rename, modules: list[str]) -> None:
    assert [rename(module) for module in ["", *modules]] == [None] * (len(modules) + 1)
