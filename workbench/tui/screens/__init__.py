"""Full screens and dialogs: each connects widgets to services; its stylesheet is beside it."""
