"""Turns trained networks into quantized ONNX and GGUF, writes and gates bundles."""

import earshot.runtime  # noqa: F401 - forbids the telemetry of ONNX Runtime before that is first imported
