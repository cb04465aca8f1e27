"""Containers of weights (PyTorch, pickle, HDF5, safetensors), read without running code from the file."""
