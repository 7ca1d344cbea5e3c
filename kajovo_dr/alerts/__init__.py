"""Telling people: what is wrong, which of it they know, and the channels that reach them."""
