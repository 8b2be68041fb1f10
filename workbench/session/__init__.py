"""What the workbench remembers and reports while it runs: keymap, view state, notifications, crash reports."""
