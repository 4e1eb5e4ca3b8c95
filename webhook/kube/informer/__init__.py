"""Copies of what a cluster stores, kept by list and watch."""
