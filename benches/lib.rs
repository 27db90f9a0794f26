//! Benchmarks of elegante: `cargo bench -p elegante-bench`.
