"""The night: what is measured, told and kept, on any CI."""
