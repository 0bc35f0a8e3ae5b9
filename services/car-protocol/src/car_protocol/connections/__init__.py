"""Sockets: who may connect, what goes over them, and their timers."""
