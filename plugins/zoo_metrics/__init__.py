"""Metrics besides loss and accuracy. Any of them may choose the best epoch."""

from __future__ import annotations

from zoo import Entry, hookimpl


@hookimpl
def register_metrics() -> list[Entry]:
    """Return the metrics."""
    return [
        Entry(
            name="auroc",
            target="zoo_metrics.measures:auroc",
            summary="Area under the ROC curve, one class against the rest, averaged.",
        ),
        Entry(
            name="balanced-accuracy",
            target="zoo_metrics.measures:balanced_accuracy",
            summary="Mean of the classes' recalls.",
        ),
        Entry(
            name="ece",
            target="zoo_metrics.measures:ece",
            summary="Expected calibration error: how far confidence is from accuracy.",
            mode="min",
        ),
        Entry(name="macro-f1", target="zoo_metrics.measures:macro_f1", summary="Mean of the classes' F1 scores."),
        Entry(
            name="nll",
            target="zoo_metrics.measures:nll",
            summary="Mean negative log-likelihood, in nats, without clipping.",
            mode="min",
        ),
        Entry(
            name="top-5",
            target="zoo_metrics.measures:top_k",
            summary="Share of the images whose class is among the five most probable.",
        ),
    ]
