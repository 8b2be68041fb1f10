"""The workbench in browsers: a local web server that runs one workbench for each tab (docs/adr/0064)."""
