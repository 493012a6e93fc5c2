"""The Python API: one function a task, with keyword arguments and one configuration each.

The command line parses and prints, and calls these; ``import optbench`` gives them by name.
"""
