"""Request rates of the past, from Prometheus or files, and the demand that they let expect (docs/telemetry.md)."""
