//! The settings that every algorithm has that learns from replayed experience, checked in one place.

/// Checks them in the table called `$table`.
macro_rules! check_replaying {
    ($table:literal, $config:expr) => {{
        let c = $config;
        check(concat!($table, ".buffer_size"), c.buffer_size, c.buffer_size > 0, "at least 1")?;
        count(concat!($table, ".train_freq"), c.train_freq)?;
        let steps = c.gradient_steps <= 1 << 24;
        check(concat!($table, ".gradient_steps"), c.gradient_steps, steps, "at most 2²⁴")?;
        count(concat!($table, ".batch_size"), c.batch_size)?;
        fraction(concat!($table, ".gamma"), c.gamma)?;
        let span = (1..=10_000).contains(&c.n_steps);
        check(concat!($table, ".n_steps"), c.n_steps, span, "between 1 and 10000")?;
        step_size(concat!($table, ".learning_rate"), c.learning_rate)?;
        small(concat!($table, ".adam_epsilon"), c.adam_epsilon)?;
        limit(concat!($table, ".max_grad_norm"), c.max_grad_norm)?;
        fraction(concat!($table, ".tau"), c.tau)?;
    }};
}

pub(super) use check_replaying;
