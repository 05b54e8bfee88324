"""The probe agent: measures its targets for months, unattended and without root, and loses nothing that it measured."""
