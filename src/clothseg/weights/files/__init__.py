"""Containers of weights: PyTorch, pickle, HDF5, safetensors. No reader runs code from the file."""
