"""Profiles: one file a source; what it sees of a model's calls becomes a `domain.profile.Profile`."""
