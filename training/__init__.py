"""Makes the model: scene synthesis, questions, networks, curriculum stages, benchmark."""

import earshot.runtime  # noqa: F401 - forbids the telemetry of ONNX Runtime before that is first imported
