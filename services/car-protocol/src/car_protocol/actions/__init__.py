"""What messages cause, one file a subject. `routing` says which message causes which."""
