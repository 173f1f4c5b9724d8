"""The temporal ladder: strategies x tasks x seeds; what theory says, what was measured."""
