//! Numbers as people read them.

pub(crate) use elegante::experiment::grouped;

/// A rate, to the whole number.
pub(crate) fn rate(per_second: f64) -> String {
    grouped(per_second.round().max(0.0) as u64)
}

/// 1234 as 1.23k, for places where columns are dear.
pub(crate) fn short(number: f64) -> String {
    match number {
        x if x >= 9.995e8 => format!("{x:.3e}"),
        x if x >= 9.995e5 => format!("{}M", three(x / 1e6)),
        x if x >= 999.5 => format!("{}k", three(x / 1e3)),
        x => format!("{x:.0}"),
    }
}

/// Three digits that matter, of a number below 1000.
fn three(x: f64) -> String {
    match x {
        x if x >= 99.95 => format!("{x:.0}"),
        x if x >= 9.995 => format!("{x:.1}"),
        x => format!("{x:.2}"),
    }
}

/// Seconds as a time span.
pub(crate) fn span(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "?".into();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    match seconds.round() as u64 {
        s if s < 60 => format!("{s} s"),
        s if s < 3600 => format!("{} min {:02} s", s / 60, s % 60),
        s => format!("{} h {:02} min", s / 3600, s / 60 % 60),
    }
}

/// How long something takes that may be over at once: three digits that matter.
pub(crate) fn duration(seconds: f64) -> String {
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= 0.9995 * unit);
    let (unit, name) = unit.unwrap_or(units[3]);
    format!("{} {name}", three(seconds / unit))
}

/// A return: whole ones without decimals.
pub(crate) fn reward(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e12 { format!("{x:.0}") } else { format!("{x:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let shorts = [0.0, 12.3, 999.4, 999.6, 1234.0, 45_678.0, 300_000.0, 1.5e6, 3e9].map(short);
        assert_eq!(
            shorts,
            ["0", "12", "999", "1.00k", "1.23k", "45.7k", "300k", "1.50M", "3.000e9"]
        );
        let spans = [0.04, 9.94, 9.96, 61.0, 3700.0, f64::INFINITY].map(span);
        assert_eq!(spans, ["0.0 s", "9.9 s", "10 s", "1 min 01 s", "1 h 01 min", "?"]);
        let times = [83.0, 0.9996, 0.25, 4.7e-5, 9.996e-7, 3e-8, 4e-10].map(duration);
        assert_eq!(
            times,
            ["83.0 s", "1.00 s", "250 ms", "47.0 µs", "1.00 µs", "30.0 ns", "0.40 ns"]
        );
        assert_eq!([500.0, -100.0, 9.35].map(reward), ["500", "-100", "9.3"]);
    }
}
