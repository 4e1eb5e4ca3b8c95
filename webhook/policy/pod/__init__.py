"""Which environment a Gateway pod starts with."""
