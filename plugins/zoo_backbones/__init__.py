"""Networks for photographs whose trained weights other libraries publish: most are those of `keras.applications`."""

from __future__ import annotations

from zoo import Entry, Recipe, hookimpl


@hookimpl
def register_models() -> list[Entry]:
    """Return the networks."""
    return [
        Entry(
            name=name,
            target=f"zoo_backbones.{target}",
            summary=summary,
            weight_names=f"zoo_backbones.names:{name.replace('-', '_')}",
        )
        for name, target, summary in (
            (
                "mobilenet-v3-small",
                "applications:mobilenet_v3_small",
                "MobileNetV3-Small, 0.9 million weights (Howard et al. 2019).",
            ),
            (
                "efficientnet-lite0",
                "efficientnet_lite:build",
                "EfficientNet-Lite0, 3.4 million weights (Tan, Le 2019).",
            ),
            (
                "efficientnet-v2-b0",
                "applications:efficientnet_v2_b0",
                "EfficientNetV2-B0, 5.9 million weights (Tan, Le 2021).",
            ),
            (
                "densenet-121",
                "applications:densenet_121",
                "DenseNet-121, 7 million weights (Huang et al. 2016).",
            ),
            ("resnet-50", "resnet:build", "ResNet-50, 24 million weights (He et al. 2015)."),
            (
                "convnext-tiny",
                "applications:convnext_tiny",
                "ConvNeXt-Tiny, 28 million weights (Liu et al. 2022).",
            ),
        )
    ]


@hookimpl
def register_recipes() -> list[Recipe]:
    """Return the recipes for photographs."""
    from zoo_backbones.recipes import RECIPES

    return RECIPES
