"""Routes for agents in step pods; they accept capability tokens only."""
