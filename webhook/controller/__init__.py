"""Runs migrations: gathers what is, asks the rules what to do, does it."""
