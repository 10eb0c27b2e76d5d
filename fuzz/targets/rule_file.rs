#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fundwatch::fuzz_rule_file(bytes));
