"""Training set → tuned model."""
