"""Images and labelled arrays, read as values on a regular grid."""
