"""Request and response models: the public API and the API of agents."""
