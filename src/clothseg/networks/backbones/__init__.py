"""Backbones: five stages that can be frozen, behind one interface."""
