"""What an MQTT broker asks: whether a user is who he says, and which topics are his."""
