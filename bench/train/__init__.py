"""`bench train`: LightningCLI in a process of its own. Imports lightning at its top; the parent only starts it."""
