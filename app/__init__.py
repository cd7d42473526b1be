"""Voxproof: tells, while somebody is still speaking, whether the voice is a person's or a machine's."""

__version__ = "0.1.0"
