"""Durations, ages and sizes as short text, as the dashboard shows them too."""

from controller.text_format import format_age, format_duration, format_size, format_timestamp, plural

__all__ = ["format_age", "format_duration", "format_size", "format_timestamp", "plural"]
