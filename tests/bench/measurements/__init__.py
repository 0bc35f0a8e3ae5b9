"""One module a measurement: it is given a running stack and cars, and returns what one run came to."""
