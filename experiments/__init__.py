"""The studies behind docs/evidence.md; each module is a command, and takes hours."""
