"""What fills the terminal at a time: each screen wires widgets together and has its stylesheet beside it."""
