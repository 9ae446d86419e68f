"""To commute with translations is to share weights: the theorem by computation, its counterexamples, what it saves."""
