"""What runs containers: one interface, with an implementation in each package of this folder."""
