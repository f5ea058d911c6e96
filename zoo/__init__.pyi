"""The public names of zoo, for type checkers: what `__init__.py` imports when it is used."""

from zoo.catalog import Catalog as Catalog
from zoo.cli.quiet import import_keras as import_keras
from zoo.environment import usable_memory as usable_memory
from zoo.errors import AmbiguousNameError as AmbiguousNameError
from zoo.errors import ArtifactError as ArtifactError
from zoo.errors import CheckFailedError as CheckFailedError
from zoo.errors import CycleError as CycleError
from zoo.errors import DataError as DataError
from zoo.errors import DivergedError as DivergedError
from zoo.errors import InvalidEntryError as InvalidEntryError
from zoo.errors import PluginError as PluginError
from zoo.errors import PluginWarning as PluginWarning
from zoo.errors import RenamedWarning as RenamedWarning
from zoo.errors import RunFolderError as RunFolderError
from zoo.errors import SettingError as SettingError
from zoo.errors import UnknownNameError as UnknownNameError
from zoo.errors import ZooError as ZooError
from zoo.errors import ZooWarning as ZooWarning
from zoo.examples import ArrayExamples as ArrayExamples
from zoo.examples import Subset as Subset
from zoo.examples import check_labels as check_labels
from zoo.examples import scale_pixels as scale_pixels
from zoo.hookspecs import hookimpl as hookimpl
from zoo.interfaces import Dataset as Dataset
from zoo.interfaces import Entry as Entry
from zoo.interfaces import Examples as Examples
from zoo.interfaces import ImageInput as ImageInput
from zoo.interfaces import ModelBuilder as ModelBuilder
from zoo.interfaces import Progress as Progress
from zoo.interfaces import Recipe as Recipe
from zoo.interfaces import RunContext as RunContext
from zoo.interfaces import RunSettings as RunSettings
from zoo.interfaces import Split as Split
from zoo.interfaces import SteppedTraining as SteppedTraining
from zoo.interfaces import Trainer as Trainer
from zoo.interfaces import Training as Training
from zoo.interrupts import StopRequested as StopRequested
from zoo.loading import LoadedModel as LoadedModel
from zoo.plugins import load_registry as load_registry
from zoo.records import EpochRecord as EpochRecord
from zoo.records import Metrics as Metrics
from zoo.records import RunRecord as RunRecord
from zoo.registry import Registry as Registry
from zoo.runner import load as load
from zoo.runner import load_and_test as load_and_test
from zoo.runner import open_run as open_run
from zoo.runner import resume as resume
from zoo.runner import run as run
from zoo.runner import train_and_save as train_and_save
from zoo.runs import Run as Run

__all__: list[str]
__version__: str
