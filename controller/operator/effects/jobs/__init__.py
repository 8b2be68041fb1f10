"""Creates, opens and deletes the Jobs of attempts."""
