"""Every kind of field that one can name: what graphs are made of."""
