"""The run folder on disk: records, checkpoints, predictions; and measures of predictions."""

from zoo.runs.classification import Bin as Bin
from zoo.runs.classification import ClassMeasures as ClassMeasures
from zoo.runs.classification import by_class as by_class
from zoo.runs.classification import calibration as calibration
from zoo.runs.classification import class_means as class_means
from zoo.runs.classification import confusion_matrix as confusion_matrix
from zoo.runs.classification import top_k_accuracy as top_k_accuracy
from zoo.runs.export_files import files_of as files_of
from zoo.runs.export_files import read_export_record as read_export_record
from zoo.runs.exports import ExportFileRecord as ExportFileRecord
from zoo.runs.exports import ExportRecord as ExportRecord
from zoo.runs.exports import ParityRecord as ParityRecord
from zoo.runs.predictions import Predictions as Predictions
from zoo.runs.record_io import read_record as read_record
from zoo.runs.record_io import write_record as write_record
from zoo.runs.records import EpochRecord as EpochRecord
from zoo.runs.records import Metrics as Metrics
from zoo.runs.records import RecipeRecord as RecipeRecord
from zoo.runs.records import RecipeResults as RecipeResults
from zoo.runs.records import RunRecord as RunRecord
from zoo.runs.records import SeedRecord as SeedRecord
from zoo.runs.run_folder import Run as Run
from zoo.runs.run_folder import ensure_empty as ensure_empty
from zoo.runs.run_folder import find_runs as find_runs
from zoo.runs.run_folder import is_run as is_run
from zoo.runs.run_folder import lock_run_folder as lock_run_folder
