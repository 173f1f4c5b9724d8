"""One file per public annotation format: annotation files -> manifest."""
