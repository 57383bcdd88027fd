"""Results → one HTML page."""
