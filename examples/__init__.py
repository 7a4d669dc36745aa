"""One training three times: in plain PyTorch, in Fabric and with Trainer. Each file is a script."""
