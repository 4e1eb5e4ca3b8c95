"""What was turned away, what is wrong with Gateways as they are stored, and how both are logged and reported."""
