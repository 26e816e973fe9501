"""The front end for ONNX, the exchange format that PyTorch and other frameworks write."""
