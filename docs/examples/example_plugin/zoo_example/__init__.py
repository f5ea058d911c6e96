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
            callbacks=("epoch-log",),
            settings={"model.units": 16, "optimizer.learning_rate": 1e-2},
        )
    ]


@hookimpl
def register_commands():
    return [Entry(name="best-epoch", target="zoo_example.command:best_epoch", summary="Print the best epoch of a run.")]


@hookimpl
def register_optimizers():
    return [Entry(name="sign-sgd", target="zoo_example.learning:sign_sgd", summary="Steps by the gradient's sign.")]


@hookimpl
def register_schedules():
    return [Entry(name="triangle", target="zoo_example.learning:triangle", summary="Up to the peak and down again.")]


@hookimpl
def register_losses():
    return [Entry(name="squared", target="zoo_example.learning:squared", summary="Squared error of probabilities.")]


@hookimpl
def register_augmentations():
    return [Entry(name="dim", target="zoo_example.learning:dim", summary="Dims images at random.")]


@hookimpl
def register_metrics():
    return [
        Entry(
            name="worst-recall",
            target="zoo_example.learning:worst_recall",
            summary="Recall of the class that is recognized worst.",
        )
    ]


@hookimpl
def register_callbacks():
    return [Entry(name="epoch-log", target="zoo_example.callback:EpochLog", summary="Writes a line for each epoch.")]
