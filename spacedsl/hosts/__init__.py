"""Hosts: the machines on which networks are timed, this one and others."""
