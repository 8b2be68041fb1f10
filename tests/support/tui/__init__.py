"""Apps with fakes behind them, and programs that drive the workbench."""
