"""The language model: prompt, audio-embedding injection, constrained answers."""
