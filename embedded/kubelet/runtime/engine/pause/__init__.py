"""The container that holds a pod's network: its program and its image, both made here."""
