"""Tokens: of the workbench, and of teammates."""
