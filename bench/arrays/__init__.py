"""The reference instances of `../shared/instances`: made, planned and verified, each in a process of its own."""
