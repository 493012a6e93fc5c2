"""Other processes: how they are begun, asked, timed out, and what is said of one that went away."""
