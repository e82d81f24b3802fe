"""Training: what is asked for, how it is done, and the folder it leaves."""
