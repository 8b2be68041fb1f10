"""Prints docs/settings.md."""

from controller.settings.flags import render_table

if __name__ == "__main__":
    print(render_table(), end="")
