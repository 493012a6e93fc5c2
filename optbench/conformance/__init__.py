"""The contract that every optimizer must keep, as checks; for our catalogue and anybody's class."""
