"""One way of measuring per file. A method takes endpoints whose address was checked and pinned, and never resolves."""
