"""Turns trained networks into quantized ONNX and GGUF, writes and gates bundles."""
