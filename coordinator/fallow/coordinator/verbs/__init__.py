"""The verbs of the command `coordinator`, one module for each group of them.

Not what they all share (`fallow.coordinator.cli`, `client`, `render`). Imported only when called.
"""
