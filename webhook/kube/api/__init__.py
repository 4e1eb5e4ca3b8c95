"""Asking the API server: where it is, as whom, and how an answer is read."""
