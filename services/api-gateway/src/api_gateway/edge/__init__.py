"""The HTTP/1.1 edge: what real clients send and expect that a strict HTTP server does not take or give."""
