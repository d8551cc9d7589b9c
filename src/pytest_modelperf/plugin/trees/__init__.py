"""Another tree: a commit beside the user's, and what is imported from it."""
