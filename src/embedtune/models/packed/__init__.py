"""Forward passes without padding: texts end to end, one after the other."""
