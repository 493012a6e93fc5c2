"""What changed over commits: results of asv and of the store, commits, accepted changes."""
