"""The networks: semantic and spatial encoder, projector, language model."""
