"""How much of a network's accuracy is motion: the same clips in order, out of order, and still."""
