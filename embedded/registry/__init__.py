"""The life of objects: reading, preparing, storing and deleting them by the rules that all resources share."""
