"""One module per origin: the names of its tensors, mapped to ours."""
