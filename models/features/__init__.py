"""Networks of others, of three kinds, as one: an array of inputs goes in, an array of rows comes out."""
