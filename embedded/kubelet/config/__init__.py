"""What a container is given: environment, downward API and volumes."""
