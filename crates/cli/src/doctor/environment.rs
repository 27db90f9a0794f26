//! An environment: does it keep the contract, and how fast is it?

use std::time::Duration;

use elegante::{Registry, env::check::EnvChecker, experiment::env_steps_per_second};

use super::finding::{Finding, Status, Tell};
use crate::text::rate;

/// How long the stepping is measured.
const STEPPING: Duration = Duration::from_millis(200);

pub(super) fn examine(
    part: &str,
    (env, sets): (&str, &[String]),
    registry: &Registry,
    quick: bool,
    tell: Tell<'_>,
) -> anyhow::Result<()> {
    let entry = registry.get(env)?;
    let options = super::options(registry, env, sets)?;
    let make = || entry.make(&options);
    let checker = match quick {
        true => EnvChecker { seeds: vec![0, 42], steps: 200 },
        false => EnvChecker::default(),
    };
    let steps = checker.steps * checker.seeds.len();
    let report = match checker.check_factory(make) {
        Ok(report) => report,
        Err(error) => {
            let fix = "make the function that its registry entry was given return an environment";
            tell(Finding::fail(part, "is made", error.to_string(), fix))?;
            return Ok(());
        }
    };
    if report.is_clean() {
        let found = format!("kept in {steps} steps and all that goes with them");
        tell(Finding::new(part, "contract", Status::Pass, found))?;
    }
    for violation in report.violations() {
        let times = match violation.times {
            1 => String::new(),
            n => format!(" ({n} times)"),
        };
        let found = format!("{}{times}", violation.found);
        tell(Finding::fail(part, "contract", found, violation.rule.fix()))?;
    }
    for note in report.notes() {
        tell(Finding::info(part, "note", note))?;
    }
    // What breaks the contract may do anything when it is driven at full speed.
    if !report.is_clean() {
        return Ok(());
    }
    for lanes in [1, 8] {
        let name = format!("speed, lanes: {lanes}");
        let finding = match env_steps_per_second(make, lanes, STEPPING) {
            Ok(speed) => {
                let found =
                    format!("{} steps/s on one thread, with actions at random", rate(speed));
                Finding::info(part, &name, found).with("steps_per_second", speed)
            }
            Err(error) => Finding::skip(part, &name, error.to_string()),
        };
        tell(finding)?;
    }
    Ok(())
}
