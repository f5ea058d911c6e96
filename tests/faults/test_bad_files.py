"""Every bad file of the corpus through the command line: one line that names it, no traceback, no hang, no flood."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import keras
import pytest

import zoo
from tests.support.command_line import Zoo
from tests.support.golden import Golden
from tests.support.small_recipe import make_registry
from zoo import Entry, Run
from zoo.errors import RunFolderError
from zoo.runs import checkpoints

from .corpus import ESCAPE, Case, cases, edited, make_stopped_run
from .try_bad_files import HEADROOM, SECONDS, Outcome

MOST_GROWTH = 512 << 20
LONGEST_LINE = 2000
ALWAYS = {
    "artifact: FIFO",
    "artifact: 1 TB for a model that needs it",
    "artifact adopted: NaN",
    "artifact adopted: array called ../../etc/passwd",
    "record: 20 MB of text",
    "record: key twice",
    "record: model called ../ in it",
    "checkpoints: manifest.json: epoch 10**18",
    "checkpoints: asked to stop before there was an epoch",
    "newest checkpoint: cut off",
}
"""Tried whatever the sample."""

ROOT = Path(__file__).parents[2]


def tried(names: list[str], finished: Path, stopped: Path, folder: Path) -> dict[str, Outcome]:
    """Return what each case came to; one that ends the process, by time or by a crash, has no status."""
    outcomes: dict[str, Outcome] = {}
    report = folder / "report.jsonl"
    for attempt in range(20):
        rest = [name for name in names if name not in outcomes]
        if not rest:
            break
        (folder / "names.json").write_text(json.dumps(rest))
        child = subprocess.run(
            [sys.executable, "-m", "tests.faults.try_bad_files",
             finished, stopped, folder / f"cases{attempt}", report, folder / "names.json"],
            cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        known = len(outcomes)
        lines = report.read_text().splitlines() if report.exists() else []
        outcomes = {outcome.case: outcome for outcome in (Outcome(**json.loads(line)) for line in lines)}
        assert len(outcomes) > known, f"nothing could be tried: status {child.returncode}, {child.stderr[-2000:]}"
    return outcomes


def faults(case: Case, outcome: Outcome, undisturbed: str | None) -> list[str]:
    """Return what is wrong with what a case came to."""
    if outcome.status is None:
        return ["it ended the process, by a crash or because it took too long"]
    lines = outcome.err.splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    checkpoints = f"{outcome.folder}/checkpoints/"
    warned = [line for line in lines if line.startswith("Warning: ") and checkpoints in line]
    named = f"{outcome.folder}/{case.named}".rstrip("/")
    wrong = {
        "a line is neither error nor warning": len(errors) + len(warned) < len(lines),
        "it shows a traceback": "Traceback" in outcome.err + outcome.out,
        "it would have a traceback shown": "--traceback" in outcome.err,
        "it writes what commands a terminal": any(c in outcome.err + outcome.out for c in "\x1b\x07\x9b\r"),
        "it writes a flood": len(outcome.err) > LONGEST_LINE * max(1, len(lines)),
        f"it took {outcome.seconds:.1f} s": outcome.seconds > SECONDS / 2,
        f"it took {outcome.growth >> 20} MiB": outcome.growth > MOST_GROWTH,
    }
    if case.is_survived:
        wrong |= {
            f"status {outcome.status}, not 0": outcome.status != 0,
            "no warning names the checkpoint": len(warned) != 1 or named not in warned[0],
            "the model is another": outcome.digest != undisturbed,
        }
    else:
        wrong |= {
            f"status {outcome.status}, not 1": outcome.status != 1,
            f"{len(errors)} errors, not 1": len(errors) != 1,
            f"no error names {named}": not any(named in line for line in errors),
            f"it left {outcome.left}": bool(outcome.left),
            "it wrote a result": bool(outcome.out),
        }
    return [fault for fault, is_there in wrong.items() if is_there]


def sample() -> list[str]:
    """Return the names of some cases of each command: the more of them, the sooner it finds them out."""
    every = {"test": 6, "train": 8, "resume": 14}
    seen: Counter[str] = Counter()
    names = []
    for case in cases():
        seen[case.command] += 1
        if seen[case.command] % every[case.command] == 0 or case.name in ALWAYS:
            names.append(case.name)
    return names


def check(names: list[str], small_run: Run, folder: Path) -> None:
    by_name = {case.name: case for case in cases()}
    make_stopped_run(folder / "stopped")
    outcomes = tried(names, small_run.path, folder / "stopped", folder)
    assert set(outcomes) == set(names)
    undisturbed = small_run.record.model_sha256
    wrong = {name: found for name in names if (found := faults(by_name[name], outcomes[name], undisturbed))}
    slowest, largest = (max(outcomes.values(), key=lambda o: key(o)) for key in (_seconds, _growth))
    print(
        f"\n{len(names)} bad files: {len(names) - len(wrong)} refused or survived cleanly, {len(wrong)} not; at most "
        f"{slowest.seconds:.2f} s ({slowest.case}) and {largest.growth >> 20} MiB ({largest.case}), with "
        f"{HEADROOM >> 20} MiB to use; {sum(o.seconds for o in outcomes.values()):.0f} s in all"
    )
    table = "\n".join(f"{name}: {'; '.join(found)}\n    {outcomes[name].err[:400]}" for name, found in wrong.items())
    assert not wrong, f"{len(wrong)} of {len(names)} bad files:\n{table}"


def _seconds(outcome: Outcome) -> float:
    return outcome.seconds


def _growth(outcome: Outcome) -> float:
    return outcome.growth


def test_names_of_cases_are_told_apart() -> None:
    counts = Counter(case.name for case in cases())
    assert len(counts) >= 150
    assert max(counts.values()) == 1, counts.most_common(3)


@pytest.mark.slow
def test_bad_files_are_refused_in_a_line(small_run: Run, tmp_path: Path) -> None:
    check(sample(), small_run, tmp_path)


@pytest.mark.full
def test_all_bad_files_are_refused_in_a_line(small_run: Run, tmp_path: Path) -> None:
    check([case.name for case in cases()], small_run, tmp_path)


@pytest.mark.parametrize("name", [ESCAPE, "sm\rall", "small\ntest  loss 0.00000  accuracy 1.0000"], ids=ascii)
def test_name_that_is_shown_commands_no_terminal_and_forges_no_row(
    small_run: Run, run_zoo: Zoo, tmp_path: Path, name: str
) -> None:
    shutil.copytree(small_run.path, tmp_path / "run")
    sound = run_zoo("resume", tmp_path / "run")
    edited(lambda record: record["recipe"].update(name=name))(tmp_path / "run" / "run.json")
    shown = run_zoo("resume", tmp_path / "run")
    assert (sound.status, shown.status) == (0, 0)
    assert not set(shown.out) & set("\x1b\x07\x9b\r")
    assert shown.out.count("\n") == sound.out.count("\n")


def test_link_in_place_of_the_checkpoints_leads_to_nothing_being_removed(
    small_run: Run, golden: Golden, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".mine.1.0123abcd.tmp").touch()  # named as what a writer that was killed leaves
    shutil.copytree(small_run.path, tmp_path / "run")
    (tmp_path / "run" / "checkpoints").symlink_to(outside)
    with golden.raises(RunFolderError, path=str(tmp_path / "run" / "checkpoints")):
        zoo.resume(tmp_path / "run", registry=make_registry())
    assert [path.name for path in outside.iterdir()] == [".mine.1.0123abcd.tmp"]


@pytest.mark.slow
@pytest.mark.parametrize("epoch", [0, 1])
def test_run_that_is_killed_after_a_callback_asked_to_stop_comes_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    class Stop(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
        epoch = 0

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            if (self.epoch, batch) == (epoch, 4):
                self.model.stop_training = True

    commit = checkpoints.Checkpoints.commit

    def die_instead(self: checkpoints.Checkpoints, checkpoint: checkpoints.Checkpoint) -> None:
        """Die when the epoch that was to be the last is completed: what is kept is of before."""
        if checkpoint.record.stopped:
            raise KeyboardInterrupt
        commit(self, checkpoint)

    registry = make_registry()
    registry.callbacks.add(Entry(name="stopping", target=Stop, summary="Stops."))
    callbacks = ["stopping"]
    whole = zoo.train("small", callbacks=callbacks, out=tmp_path / "whole", registry=registry, checkpoint_every=3)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoints, "commit", die_instead)
        with pytest.raises(KeyboardInterrupt):
            zoo.train("small", callbacks=callbacks, out=tmp_path / "killed", registry=registry, checkpoint_every=3)
    assert max((tmp_path / "killed" / "checkpoints").iterdir()).is_dir()
    resumed = zoo.resume(tmp_path / "killed", registry=registry)
    assert len(resumed.record.history) == len(whole.record.history) == epoch + 1
    assert resumed.record.model_sha256 == whole.record.model_sha256
