"""Every metric of a trained run, with its interval."""
