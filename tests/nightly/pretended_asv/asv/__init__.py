"""Stands for asv where a test is about the night: writes results at once, or hangs, or fails."""
