"""Runs once per batch and workstation, without arguments, with the work folder as current folder.

Not a part of Fallow but of the batch that `coordinator template python` writes. Each job gets a
copy of all that this leaves behind.
"""

from pathlib import Path

primes = [n for n in range(2, 10_000) if all(n % d for d in range(2, int(n**0.5) + 1))]
Path("primes.txt").write_text("\n".join(map(str, primes)))
print(len(primes), "primes")
