"""Tests that start a control plane of their own, since they take it apart."""
