"""Every remedy side by side, each within a budget, and one recommendation."""
