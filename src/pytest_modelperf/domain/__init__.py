"""The nouns: frozen dataclasses without input or output, without a framework, without pytest."""
