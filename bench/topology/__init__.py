"""What the topology's stages find and miss, measured on worlds whose truth is known."""
