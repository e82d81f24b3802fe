"""The studies behind docs/evidence.md: each is a command, and long."""
