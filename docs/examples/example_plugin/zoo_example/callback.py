"""A callback is Keras's own."""

import keras


class EpochLog(keras.callbacks.Callback):
    """Appends a line for each epoch to a file."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_end(self, epoch, logs=None):
        with self.path.open("a") as file:
            file.write(f"{epoch + 1} {logs['val_loss']:.4f}\n")
