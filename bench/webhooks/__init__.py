"""Measurements of the receiver of deliveries."""
