"""Fixtures: registries of the tests' own, a small recipe on real images, the command line in this process."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from zoo_fashion.dataset import FashionMnist

import zoo
from zoo import ArrayExamples, Entry, Recipe, Registry, Run, Split, cli
from zoo.cli.context import Session
from zoo.utils import hardware


@dataclass(frozen=True, kw_only=True)
class FashionSlice:
    """The first images of Fashion-MNIST."""

    train: int = 600
    test: int = 200

    def load(self, data_dir: Path | None) -> Split:
        whole = FashionMnist().load(data_dir)
        return Split(
            train=ArrayExamples(*whole.train[np.arange(self.train)]),
            test=ArrayExamples(*whole.test[np.arange(self.test)]),
            class_names=whole.class_names,
            digests=whole.digests,
        )


SMALL = Recipe(
    name="small",
    summary="A narrow reference network on a slice of Fashion-MNIST.",
    dataset="slice",
    model="fashion-cnn",
    trainer="fit",
    epochs=2,
    batch_size=32,
    validation=100,
    settings={"model.widths": (4, 8, 8), "model.dense_width": 16, "trainer.learning_rate": 3e-3},
)


def make_registry() -> Registry:
    """Return a registry with our plugins, the slice and the small recipe."""
    registry = zoo.load_registry({"ZOO_PLUGINS": ""})
    registry.datasets.add(Entry(name="slice", target=FashionSlice, summary="800 real images."))
    registry.recipes.add(SMALL)
    return registry


def seal(content: Mapping[str, Any]) -> bytes:
    """Return what could be in a ``run.json`` or a manifest, sealed as if zoo had written it."""
    body = json.dumps(content, indent=2).removesuffix("\n}").encode()
    return body + f',\n  "sha256": "{hashlib.sha256(body).hexdigest()}"\n}}\n'.encode()


def unsealed(path: Path) -> dict[str, Any]:
    """Return the content of such a file without its seal."""
    content: dict[str, Any] = json.loads(path.read_bytes())
    del content["sha256"]
    return content


HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}


@pytest.fixture(autouse=True)
def handlers_of_signals() -> Iterator[None]:
    """Give the process its handlers back: the command line sets some, and children inherit which are ignored."""
    yield
    for number, handler in HANDLERS.items():
        signal.signal(number, handler)


@pytest.fixture
def registry() -> Registry:
    """A registry of this test's own."""
    return make_registry()


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of the small recipe; not to be changed."""
    return zoo.run("small", out=tmp_path_factory.mktemp("runs") / "small", registry=make_registry())


@dataclass(frozen=True)
class Outcome:
    """What a call of the command line came to."""

    status: int
    out: str
    err: str


Zoo = Callable[..., Outcome]

# TensorFlow asks the processor, and not oneDNN, whether bfloat16 is possible
computes_bfloat16 = pytest.mark.skipif(
    "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split()
    and "avx512f" not in (hardware.instruction_sets() or ()),
    reason="TensorFlow crashes in bfloat16 where ONEDNN_MAX_CPU_ISA rules out the AVX-512 that a processor has",
)


@pytest.fixture
def run_zoo(registry: Registry, capfd: pytest.CaptureFixture[str]) -> Zoo:
    """Return a function that calls the command line in this process, with the test's registry."""

    def call(*arguments: str | Path) -> Outcome:
        session = Session()
        session.registry = registry
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.main([str(argument) for argument in arguments], session)
        out, err = capfd.readouterr()
        assert isinstance(exit_.value.code, int)
        return Outcome(exit_.value.code, out, err)

    return call
