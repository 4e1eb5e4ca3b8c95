"""The leader's work on our Secrets and webhook configurations."""
