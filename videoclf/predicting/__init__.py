"""From a checkpoint and videos to labels: one by one, whole folders, long files along their time."""
