"""What publishing withstands, and how long it takes."""
