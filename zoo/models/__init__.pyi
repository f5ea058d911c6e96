"""Build models, and read and write their weights."""

from zoo.models.layers import head_of as head_of
from zoo.models.layers import named_layers as named_layers
from zoo.models.multiply_adds import count_multiply_adds as count_multiply_adds
