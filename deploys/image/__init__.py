"""Images: the same steps that make a host a node, with their commands run in a tree that nothing runs in yet."""

from deploys.image.bases import BASES, Base
from deploys.image.build import Told, build
from deploys.image.order import ImageOrder

__all__ = ["BASES", "Base", "ImageOrder", "Told", "build"]
