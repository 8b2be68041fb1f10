"""Custom resource definitions: structural schemas, validation, CEL rules and formats."""
