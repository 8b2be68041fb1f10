"""The controller's settings: one table of flags, which are environment variables too, and their parsed values.

docs/settings.md is generated from the table (`python -m controller.settings`); a test compares the two.
"""

from controller.settings.auth_proxy import AuthProxySettings
from controller.settings.errors import SettingsError
from controller.settings.flags import FLAGS, render_table
from controller.settings.secret_file import SecretFile
from controller.settings.values import Settings, build_parser, parse_settings

__all__ = [
    "FLAGS",
    "AuthProxySettings",
    "SecretFile",
    "Settings",
    "SettingsError",
    "build_parser",
    "parse_settings",
    "render_table",
]
