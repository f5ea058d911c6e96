"""A callback is Keras's own; one whose first parameter is `run` receives the run."""

import zoo


class EpochLog(zoo.Callback):
    """Appends a line for each epoch to a file."""

    def __init__(self, run):
        super().__init__()
        self.path = run.path / "epochs.log"

    def on_epoch_end(self, epoch, logs=None):
        with self.path.open("a") as file:
            file.write(f"{epoch + 1} {logs['val_loss']:.4f}\n")
