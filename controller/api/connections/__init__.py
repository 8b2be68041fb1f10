"""Connections to forges as the REST API shows and uses them."""
