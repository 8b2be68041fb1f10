"""Commands that open browsers: the dashboard, and the workbench served to them."""
