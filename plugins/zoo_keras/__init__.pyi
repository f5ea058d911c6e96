from zoo import Entry
from zoo_keras.keras_trainer import KerasTrainer as KerasTrainer
from zoo_keras.operations import training_operations as training_operations
from zoo_keras.resident import ResidentTraining as ResidentTraining
from zoo_keras.resident import read_all as read_all
from zoo_keras.variables import assign as assign
from zoo_keras.variables import values_of as values_of
from zoo_keras.variables import variables_of as variables_of

def register_trainers() -> list[Entry]: ...
