//! One test program: the engine against its oracle, and the program as its users run it.

mod convergence;
mod reference;
mod rule_sets;
mod worlds;
