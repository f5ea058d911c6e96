"""Examples, splits, and the loading of datasets."""

from zoo.data.dataset_config import DatasetConfig as DatasetConfig
from zoo.data.dataset_config import prepare_dataset as prepare_dataset
from zoo.data.examples import ArrayExamples as ArrayExamples
from zoo.data.examples import Subset as Subset
from zoo.data.examples import check_labels as check_labels
from zoo.data.examples import labels_of as labels_of
from zoo.data.examples import scale_pixels as scale_pixels
from zoo.data.joining import first_joined as first_joined
from zoo.data.split import cut_validation as cut_validation
from zoo.data.split import digest_of_split as digest_of_split
from zoo.data.split import fold_indices as fold_indices
from zoo.data.split import without_validation as without_validation
