"""The pytest plugin: options, marker, fixture, coordinator and runner. pytest alone lives here."""
