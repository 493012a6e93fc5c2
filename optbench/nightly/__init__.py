"""The nightly run: what is measured, reported and kept, on any CI."""
