"""A chat model behind an OpenAI-compatible endpoint: stored, limited, budgeted."""
