"""What can be seen of the people at this computer: one small sensor per module.

A sensor reports what it saw and what it cannot see; it decides nothing. The rule that decides is
`presence`, which knows no sensor.
"""
