"""CustomResourceDefinitions, roles and permissions, generated from the code that needs them."""
