"""Cars, apps and callers that cost less than what they measure: what they say is prepared before the clock starts."""
