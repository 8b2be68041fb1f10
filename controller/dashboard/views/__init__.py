"""What pages show, computed from the objects of the cluster: pure functions, and HTML only where templates can't."""
