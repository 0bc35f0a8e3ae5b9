"""What is installed, looked at from outside: known vulnerabilities of it, and a bill of materials of each service.

Run with the Python of the tools' own environment, since the tools are not among what is installed for tests.
"""
