"""What vehicles send, as it comes."""
