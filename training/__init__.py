"""Makes the model: scene synthesis, questions, networks, curriculum stages, benchmark."""
