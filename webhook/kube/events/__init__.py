"""Events: told once, alike ones counted, within a budget."""
