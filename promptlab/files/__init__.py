"""The disk edge: the library, models.yaml, the model store, git and the history."""
