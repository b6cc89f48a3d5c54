"""The SAM 2 network: pure steps, tensors in, tensors out."""
