"""The process of the controller: what it starts, in which order, and what it imports late."""
