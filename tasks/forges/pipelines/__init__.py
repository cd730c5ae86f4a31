"""What `doit ci` writes: which job does which stacks, and how a forge is told so."""
