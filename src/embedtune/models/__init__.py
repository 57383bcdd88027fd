"""Text → vectors, and the cache that remembers them."""
