"""The `ovms` command: migrate, provision, owner, vehicle, token, autoprovision, run. One file a subject."""
