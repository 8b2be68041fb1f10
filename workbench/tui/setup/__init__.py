"""Before there is a sandbox: which kind of one, what each needs, and bringing it up."""
