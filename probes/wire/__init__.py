"""What the methods share beneath them: clocks, batches of datagrams, pacing, packets."""
