"""Where cases come from, and how they reach the network."""
