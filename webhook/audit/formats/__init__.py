"""Findings and rejections for programs: JSON, CSV, JUnit and SARIF. Values in, one text out."""
