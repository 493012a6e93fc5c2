"""What asv tracks from commit to commit; docs/tracking.md says how to run and to read it."""
