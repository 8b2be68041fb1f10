"""Setup of a first sandbox: choosing a provider, checking its requirements, starting it."""
