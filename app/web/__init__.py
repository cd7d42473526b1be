"""HTTP and WebSocket transports: they move bytes and messages and do no arithmetic."""
