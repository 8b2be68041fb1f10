"""Sources that the agents of one machine have unpacked for each other."""
