"""Finished runs side by side: which differ in what, how sure their numbers are, what they cost."""
