"""What was turned away, from the request path to the record, and what became of it."""
