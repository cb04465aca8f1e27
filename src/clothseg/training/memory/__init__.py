"""Memory of a training: the forecast, the budget, the free memory of a device, and recovery from out-of-memory."""
