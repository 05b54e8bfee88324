"""The far end of measurements: answers STAMP, receives and sends packet trains, serves NDT7; never amplifies."""
