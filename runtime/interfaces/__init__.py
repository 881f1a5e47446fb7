"""What a person or a program touches: commands and pictures."""
