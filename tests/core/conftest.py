"""Fixtures of the core's tests."""

from __future__ import annotations

from tests.support.installed_plugins import install, program

__all__ = ["install", "program"]
