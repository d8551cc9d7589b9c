"""What class an object is of, told without importing the framework that the class comes from."""

from __future__ import annotations


def is_a(model: object, *names: str) -> bool:
    """Whether one of `names` (`"torch.nn.modules.module.Module"`) is the model's class or a base of it."""
    return any(f"{base.__module__}.{base.__qualname__}" in names for base in type(model).__mro__)
