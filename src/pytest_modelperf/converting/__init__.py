"""Converting: variants of a model, one file a converter; whether they answer the same; what is kept of them."""
