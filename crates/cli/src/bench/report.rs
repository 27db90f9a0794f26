//! What was measured, as a table or as JSON.

use std::io;

use elegante::{DeviceChoice, PolicyError, experiment::json_line};
use serde::Serialize;

use super::measure::{Found, Measured, Opened, Plan, Skipped};
use crate::{
    exit::Outcome,
    machine::Machine,
    output::Output,
    program::Program,
    text::{duration, grouped, rate, span},
};

/// Beyond this share of the cores, others are at work on the machine.
const BUSY: f64 = 0.5;
/// Beyond this share of the median, the middle half of the turns says that something disturbed them.
const UNSTEADY: f64 = 0.2;

/// What has been told so far.
pub(super) struct Told {
    json: bool,
    /// Before anything was measured.
    load: Option<f64>,
    cores: usize,
    measured: usize,
    /// Whether anything was measured with fused operations off.
    composed: bool,
    unsteady: Vec<String>,
    unusable: Vec<String>,
}

#[derive(Serialize)]
struct Here<'a> {
    #[serde(flatten)]
    machine: &'a Machine,
    load: Option<f64>,
    env: &'a str,
    hidden: &'a [usize],
    threads: usize,
}

#[derive(Serialize)]
struct Unusable {
    device: String,
    error: String,
}

#[derive(Serialize)]
struct Conclusion<'a> {
    seconds: f64,
    /// Why the figures may be too low; nothing if the machine was quiet.
    busy: &'a [String],
    unusable: &'a [String],
}

impl Told {
    pub(super) fn new(json: bool, load: Option<f64>) -> Self {
        let (unsteady, unusable) = (Vec::new(), Vec::new());
        Self { json, load, cores: 1, measured: 0, composed: false, unsteady, unusable }
    }

    /// What is to be measured where.
    pub(super) fn machine(&mut self, plan: &Plan, output: &mut Output) -> io::Result<()> {
        let machine = Machine::here();
        self.cores = machine.cores;
        let (env, hidden) = (&plan.config.env, &plan.policy.network.hidden);
        if self.json {
            let (load, threads) = (self.load, plan.threads);
            let here = Here { machine: &machine, load, env, hidden, threads };
            return output.line(&json_line("machine", &here));
        }
        output.line(&format!("machine   {}, {}", machine.processor(), machine.instructions()))?;
        output.line(&format!("elegante  {}", machine.build()))?;
        self.head(&format!("environment {env}, on one thread"), output)
    }

    /// A device that the next measurements are made on.
    pub(super) fn device(
        &mut self,
        opened: &Opened,
        plan: &Plan,
        output: &mut Output,
    ) -> io::Result<()> {
        if self.json {
            return output.line(&json_line("device", opened));
        }
        let hardware = opened.hardware.iter().map(|name| format!(", {name}")).collect::<String>();
        let layers: Vec<_> = plan.policy.network.hidden.iter().map(ToString::to_string).collect();
        let threads = plan.threads;
        let threads = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
        let networks = format!("networks {}, {threads}", layers.join("×"));
        self.head(&format!("device {}{hardware}, {networks}", opened.device), output)
    }

    /// A device that nothing can be measured on.
    pub(super) fn unusable(
        &mut self,
        device: DeviceChoice,
        error: &PolicyError,
        output: &mut Output,
    ) -> io::Result<()> {
        let unusable = Unusable { device: device.to_string(), error: error.to_string() };
        if self.json {
            output.line(&json_line("device", &unusable))?;
        } else {
            self.head(&format!("device {device}"), output)?;
            output.line(&format!("  {}", unusable.error))?;
        }
        self.unusable.push(unusable.device);
        Ok(())
    }

    fn head(&self, heading: &str, output: &mut Output) -> io::Result<()> {
        let columns = format!(
            "{heading:<46}{:>10}{:>10}{:>14} {:<15}{:>7}",
            "time", "least", "rate", "", "spread"
        );
        output.line(&format!("\n{}", output.paint.bold(&columns)))
    }

    /// A measurement, or why there is none.
    pub(super) fn found(&mut self, found: &Found, output: &mut Output) -> io::Result<()> {
        match found {
            Found::Measured(measured) => self.measured(measured, output),
            Found::Skipped(skipped) => self.skipped(skipped, output),
        }
    }

    fn skipped(&mut self, s: &Skipped, output: &mut Output) -> io::Result<()> {
        self.composed |= !s.fused;
        if self.json {
            return output.line(&json_line("skipped", s));
        }
        let name = format!("{} {}{}", s.section, s.name, how(s.fused));
        let (update, budget) = (span(s.update_seconds), span(s.budget_seconds));
        let why = format!("skipped: an update would take about {update}, not {budget}");
        output.line(&format!("  {name:<44}  {why}"))
    }

    fn measured(&mut self, m: &Measured, output: &mut Output) -> io::Result<()> {
        let section = if m.section == "environment" { "" } else { m.section };
        let steps = m.steps.map(|steps| format!(", {} steps", grouped(steps as u64)));
        let name = format!("{section} {}{}{}", m.name, steps.unwrap_or_default(), how(m.fused));
        let name = name.trim();
        self.measured += 1;
        self.composed |= !m.fused;
        if m.spread.is_some_and(|spread| spread > UNSTEADY) {
            let on = m.device.iter().map(|device| format!(" on {device}")).collect::<String>();
            self.unsteady.push(format!("{name}{on}"));
        }
        if self.json {
            return output.line(&json_line("measurement", m));
        }
        let (time, least) = (duration(m.seconds), duration(m.least_seconds));
        let unit = format!("{}s/s", m.unit);
        let spread = m.spread.map_or("–".to_owned(), |spread| format!("{:.0} %", 100.0 * spread));
        let rate = rate(m.per_second);
        output.line(&format!("  {name:<44}{time:>10}{least:>10}{rate:>14} {unit:<15}{spread:>7}"))
    }

    /// Whether the figures can be trusted.
    pub(super) fn conclude(
        &self,
        program: &Program,
        output: &mut Output,
    ) -> anyhow::Result<Outcome> {
        let seconds = program.began.elapsed().as_secs_f64();
        let busy = self.busy();
        if self.json {
            let unusable = &self.unusable;
            let conclusion = Conclusion { seconds, busy: &busy, unusable };
            output.line(&json_line("bench", &conclusion))?;
        } else {
            let off = if self.composed { "; not fused: by burn's own operations" } else { "" };
            output.line(&format!(
                "\ntime: median of the turns; spread: of the middle half of them, – where there is one{off}\nin {}",
                span(seconds)
            ))?;
        }
        for reason in &busy {
            output.warning(&format!("this machine is busy: {reason}; the figures may be too low"));
        }
        Ok(if self.unusable.is_empty() { Outcome::Complete } else { Outcome::Partial })
    }

    /// Why the machine seems to be busy with something else.
    fn busy(&self) -> Vec<String> {
        let load = self.load.filter(|load| *load > BUSY * self.cores as f64);
        let load = load.map(|load| {
            format!("its load was {load:.1} on {} cores before anything was measured", self.cores)
        });
        let unsteady = (!self.unsteady.is_empty()).then(|| {
            let (share, count) = (100.0 * UNSTEADY, self.unsteady.len());
            // All of them say no more than their number.
            let which = match count {
                1..=3 => self.unsteady.join("; "),
                _ => format!("{count} of {} measurements", self.measured),
            };
            format!("times spread by more than {share:.0} % in {which}")
        });
        load.into_iter().chain(unsteady).collect()
    }
}

/// By which operations something was computed, after its name.
fn how(fused: bool) -> &'static str {
    if fused { "" } else { ", not fused" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_busy_when_others_work_on_it_or_its_times_vary() {
        let mut told = Told { cores: 4, ..Told::new(true, Some(1.9)) };
        assert!(told.busy().is_empty());
        told.load = Some(2.1);
        told.unsteady = vec!["inference 1 observation on flex".into(), "1 lane".into()];
        let busy = told.busy();
        assert_eq!(busy.len(), 2);
        assert!(busy[0].contains("2.1 on 4 cores"), "{busy:?}");
        assert!(busy[1].contains("20 %") && busy[1].ends_with("flex; 1 lane"), "{busy:?}");
        told.unsteady.resize(7, String::new());
        told.measured = 16;
        assert!(told.busy()[1].ends_with("in 7 of 16 measurements"), "{:?}", told.busy());
        told = Told::new(true, None);
        assert!(told.busy().is_empty(), "nothing is known of it");
    }
}
