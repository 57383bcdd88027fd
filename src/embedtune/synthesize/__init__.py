"""Documents → queries, and which of them to keep."""
