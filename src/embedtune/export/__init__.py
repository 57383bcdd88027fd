"""Tuned model → a deployable folder or a vector store, with proof that it retrieves the same."""
