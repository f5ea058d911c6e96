"""An example plugin: one of everything that a plugin can register."""

from zoo import Entry, Recipe, hookimpl


@hookimpl
def register_models():
    return [
        Entry(name="stripe-net", target="zoo_example.model:build", summary="One hidden layer.", aliases=("stripe",))
    ]


@hookimpl
def register_datasets():
    return [Entry(name="stripes", target="zoo_example.dataset:Stripes", summary="Stripes, across or down.")]


@hookimpl
def register_trainers():
    return [
        Entry(name="sgd", target="zoo_example.trainer:Sgd", summary="Plain gradient descent."),
        Entry(name="sgd-stepped", target="zoo_example.stepped:SteppedSgd", summary="The same, to be stopped anywhere."),
    ]


@hookimpl
def register_recipes():
    return [
        Recipe(
            name="stripes",
            summary="Tells stripes across from stripes down in a second.",
            dataset="stripes",
            model="stripe-net",
            trainer="keras/fit",
            epochs=3,
            batch_size=32,
            validation=100,
            settings={"model.units": 16, "trainer.learning_rate": 1e-2},
        )
    ]


@hookimpl
def register_commands():
    return [Entry(name="best-epoch", target="zoo_example.command:best_epoch", summary="Print the best epoch of a run.")]


@hookimpl
def register_callbacks(run):
    from zoo_example.callback import EpochLog

    return [EpochLog(run.path / "epochs.log")]
