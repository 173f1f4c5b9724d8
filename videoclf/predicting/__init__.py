"""From a checkpoint and videos to labels: single files, whole folders, and along long films."""
