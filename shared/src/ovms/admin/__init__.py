"""The `ovms` command: migrate, provision, owner, vehicle, token, run. One file a subject."""
