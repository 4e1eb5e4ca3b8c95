"""A cluster in memory, loaded from files: the same ports as the live one, for demo, tests and CI."""
