"""What equivariant subsampling buys an autoencoder: it generalises to positions that it never saw.

settings → sprites → two autoencoders → training → errors inside and outside → picture, page and files.
"""
