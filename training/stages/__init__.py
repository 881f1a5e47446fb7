"""One module per curriculum stage; each resumes from its checkpoint."""
