"""What makes objects Kubernetes objects: resources, creation to deletion, selectors, patches, schemas, tables."""
