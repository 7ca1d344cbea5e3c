"""Tests of the sandbox hotel: real databases, real HTTP."""
