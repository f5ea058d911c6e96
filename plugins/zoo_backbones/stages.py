"""Number of blocks in each stage of the networks."""

from __future__ import annotations

LITE_REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""EfficientNet-Lite0, as EfficientNet-B0."""

MOBILENET_REPEATS = (1, 2, 3, 2, 3)
"""MobileNetV3-Small, in the stages of timm; Keras numbers its blocks throughout."""

EFFICIENTNET_V2_REPEATS = (1, 2, 2, 3, 5, 8)
"""EfficientNetV2-B0."""

RESNET_REPEATS = (3, 4, 6, 3)
"""ResNet-50."""

DENSENET_REPEATS = (6, 12, 24, 16)
"""DenseNet-121."""

CONVNEXT_REPEATS = (3, 3, 9, 3)
"""ConvNeXt-Tiny."""
