"""Architectures implemented from their papers, for images of any size, with a Fashion-MNIST recipe for each."""

from __future__ import annotations

from zoo import Entry, Recipe, hookimpl


@hookimpl
def register_models() -> list[Entry]:
    """Return the architectures."""
    return [
        Entry(name=name, target=f"zoo_vision.{target}", summary=summary, parameters=parameters)
        for name, target, parameters, summary in (
            ("mlp", "mlp:build", 266_610, "Multilayer perceptron, 300 and 100 hidden units (LeCun et al. 1998)."),
            ("lenet-5", "lenet:build", 61_706, "LeNet-5, 3 convolutions and a dense layer (LeCun et al. 1998)."),
            (
                "resnet-20",
                "resnet:resnet_20",
                270_810,
                "Residual network for small images, 20 layers (He et al. 2015).",
            ),
            (
                "resnet-32",
                "resnet:resnet_32",
                466_138,
                "Residual network for small images, 32 layers (He et al. 2015).",
            ),
            (
                "wrn-16-4",
                "wide_resnet:build",
                2_752_218,
                "Wide residual network, 16 layers, widening 4 (Zagoruyko, Komodakis 2016).",
            ),
            (
                "mobilenet-small",
                "mobilenet:build",
                220_970,
                "MobileNet, width 0.25, depthwise convolutions (Howard et al. 2017).",
            ),
            (
                "convmixer",
                "convmixer:build",
                600_842,
                "ConvMixer-256/8, patches, depthwise convolutions (Trockman, Kolter 2022).",
            ),
            (
                "vit-tiny",
                "vit:build",
                5_353_738,
                "Vision transformer, ViT-Ti (Dosovitskiy et al. 2020, Touvron et al. 2020).",
            ),
        )
    ]


@hookimpl
def register_recipes() -> list[Recipe]:
    """Return a recipe for each architecture."""
    from zoo_vision.recipes import RECIPES

    return RECIPES
