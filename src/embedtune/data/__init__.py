"""What a dataset is, and how other layouts become one."""
