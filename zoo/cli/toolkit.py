"""Helpers for plugin commands: options, tables, JSON, completion, similar names, progress, quiet Keras imports."""

from __future__ import annotations

from zoo.cli.completion import complete_names, complete_pretrained
from zoo.cli.context import Session
from zoo.cli.options import (
    Folder,
    component_options,
    data_dir_option,
    json_option,
    quiet_option,
    settings_option,
    traceback_option,
    track_option,
)
from zoo.cli.output import describe_metrics, echo_json, table
from zoo.cli.progress import show_progress
from zoo.recipes.settings import setting_text
from zoo.registry.exported_files import exporter_of, is_exported
from zoo.utils.keras_import import import_keras, silence_native_stderr
from zoo.utils.text import suggest

__all__ = [
    "Folder",
    "Session",
    "complete_names",
    "complete_pretrained",
    "component_options",
    "data_dir_option",
    "describe_metrics",
    "echo_json",
    "exporter_of",
    "import_keras",
    "is_exported",
    "json_option",
    "quiet_option",
    "setting_text",
    "settings_option",
    "show_progress",
    "silence_native_stderr",
    "suggest",
    "table",
    "traceback_option",
    "track_option",
]
