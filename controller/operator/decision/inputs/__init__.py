"""What a step is made from: whether an earlier result may be taken, and what differs if not."""
