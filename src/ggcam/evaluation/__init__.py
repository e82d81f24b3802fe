"""Evaluation of a trained run: predictions, every metric with its confidence interval, and the content of its page."""
