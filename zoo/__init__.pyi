"""A plugin-based model zoo: one command trains, saves, loads and tests any registered model on any dataset."""

from zoo import data as data
from zoo import errors as errors
from zoo import images as images
from zoo import interfaces as interfaces
from zoo import models as models
from zoo import runs as runs
from zoo import utils as utils
from zoo.data.examples import ArrayExamples as ArrayExamples
from zoo.errors import DataError as DataError
from zoo.errors import PluginError as PluginError
from zoo.errors import SettingError as SettingError
from zoo.errors import ZooError as ZooError
from zoo.interfaces import Dataset as Dataset
from zoo.interfaces import Exporter as Exporter
from zoo.interfaces import ImageInput as ImageInput
from zoo.interfaces import Learning as Learning
from zoo.interfaces import RunContext as RunContext
from zoo.interfaces import Split as Split
from zoo.interfaces import SteppedTraining as SteppedTraining
from zoo.interfaces import Trainer as Trainer
from zoo.interfaces import Training as Training
from zoo.interfaces import TrainingConfig as TrainingConfig
from zoo.pipeline.access import export as export
from zoo.pipeline.access import find_exports as find_exports
from zoo.pipeline.access import load as load
from zoo.pipeline.access import load_data as load_data
from zoo.pipeline.access import open_run as open_run
from zoo.pipeline.access import read_predictions as read_predictions
from zoo.pipeline.api import resume as resume
from zoo.pipeline.api import run as run
from zoo.pipeline.api import test as test
from zoo.pipeline.api import train as train
from zoo.pipeline.exported import Exported as Exported
from zoo.pipeline.import_run import import_weights as import_weights
from zoo.pipeline.loaded_model import LoadedModel as LoadedModel
from zoo.pipeline.preparation import prepare as prepare
from zoo.pipeline.reproduction import reproduce as reproduce
from zoo.pipeline.results import read_results as read_results
from zoo.pipeline.results import record_results as record_results
from zoo.pipeline.run_config import RunConfig as RunConfig
from zoo.registry.entries import Entry as Entry
from zoo.registry.entries import Recipe as Recipe
from zoo.registry.hookspecs import hookimpl as hookimpl
from zoo.registry.plugins import load_registry as load_registry
from zoo.registry.registry import Registry as Registry
from zoo.runs.records import Metrics as Metrics
from zoo.runs.run_folder import Run as Run
from zoo.training.callback import Callback as Callback
from zoo.utils.signals import StopRequested as StopRequested

__all__: list[str]
__version__: str
