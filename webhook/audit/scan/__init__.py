"""What is wrong with Gateways as they are stored."""
