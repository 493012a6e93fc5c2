"""One file a version of the schema: the way to it from the one before."""
