"""Scenarios: what is done to an optimizer and what is recorded of it, for `check` and `compare`."""
