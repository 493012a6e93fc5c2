"""Frames in, a page out: figures, tables, HTML and Markdown."""
