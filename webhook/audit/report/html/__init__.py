"""A survey as one HTML file that loads nothing and runs nothing."""
