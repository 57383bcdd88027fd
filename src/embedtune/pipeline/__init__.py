"""Steps in order, done once and resumed."""
