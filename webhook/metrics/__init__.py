"""Metrics, the only place where Prometheus is imported.

Labels come from closed sets, and every child exists from the start, so that rates work. No label names a
namespace, object, user or hash.
"""
