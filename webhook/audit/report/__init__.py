"""A whole cluster as a page for people, and as reports for other tools."""
