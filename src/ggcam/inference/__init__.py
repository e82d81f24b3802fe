"""A trained network answers: predictions, backends, export."""
