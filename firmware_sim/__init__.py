"""Stands in for the hearable and its board."""

import earshot.runtime  # noqa: F401 - forbids the telemetry of ONNX Runtime before that is first imported
