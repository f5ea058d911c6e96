"""Build models, and read and write their weights."""

from zoo.models.multiply_adds import count_multiply_adds as count_multiply_adds
