//! One test program: the engine against its oracle, and the program as its users run it.

mod accounting;
mod alertmanager;
mod backtest;
mod city;
mod config;
mod convergence;
mod evaluate;
mod faults;
mod http;
mod kafka;
mod kills;
mod labelled;
mod metrics;
mod models;
mod reference;
mod rule_sets;
mod rules_cli;
mod run;
mod schemes;
mod scoring;
mod sinks;
mod soak;
mod state;
mod stays;
mod support;
mod worlds;
