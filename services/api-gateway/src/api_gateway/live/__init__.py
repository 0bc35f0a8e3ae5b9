"""Live events: what vehicles send, to everybody who watches them over HTTP or a WebSocket."""
