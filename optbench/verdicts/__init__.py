"""The verdicts of a comparison: their values and who judges them; NumPy alone."""
