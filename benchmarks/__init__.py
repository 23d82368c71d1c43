"""Policies measured against each other by one protocol."""
