"""From samples to sources: streaming features, ONNX encoders, slots and tracks."""
