"""The desktop's half of Fallow, in Qt: an icon, its menu, a small window.

It draws the Menu that `view` makes and sends the intents of who clicks; it decides nothing.
"""
