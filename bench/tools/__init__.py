"""What benchmarks share: processes of their own, tables, the machine's name."""
