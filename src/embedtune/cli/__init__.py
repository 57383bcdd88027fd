"""Words → calls; one file a verb, no logic."""
