"""The state of a workbench session: keymap, saved view, notifications and crash reports."""
