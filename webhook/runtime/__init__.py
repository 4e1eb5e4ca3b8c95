"""The composition roots: each builds its parts once, hands them over, starts and stops all in order."""
