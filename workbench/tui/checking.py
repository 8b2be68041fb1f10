"""Checks a pipeline file with the rules of the controller, without asking one."""

from __future__ import annotations

from workbench.tui.ports import Checked, Finding
