"""CustomResourceDefinitions: structural schemas, validation, CEL rules and formats."""
