//! The devices of this build: whether each computes, whether rightly, and how fast.

use std::time::Duration;

use elegante::{
    DeviceChoice,
    trainer::selfcheck::{
        Precision, Work, actions_per_second, fused_error, gradient_error, updates_per_second,
    },
};

use super::finding::{Finding, Status, Tell};
use crate::text::rate;

/// Beyond this share of a gradient's norm, fused and composed operations do not only round differently.
const FUSED: f64 = 1e-4;
const UPDATES: &str = "updates_per_second";

/// The sizes to time: observation, actions, hidden layers, steps in a minibatch. All but the first two
/// are for the choice between devices.
fn sizes() -> Vec<Work> {
    [
        (4, 2, [64, 64], 64),
        (4, 2, [64, 64], 256),
        (16, 4, [256, 256], 1024),
        (64, 8, [1024, 1024], 4096),
    ]
    .map(|(inputs, actions, hidden, rows)| Work::choice(inputs, actions, &hidden, rows))
    .into()
}

fn name(work: &Work) -> String {
    let layers =
        work.policy.network.hidden.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    format!("{layers}, batch {}", work.rows)
}

pub(super) fn examine(
    part: &str,
    choice: DeviceChoice,
    quick: bool,
    tell: Tell<'_>,
) -> anyhow::Result<()> {
    let device = match choice.open() {
        Ok(device) => {
            tell(Finding::new(part, "opens", Status::Pass, "and adds two numbers"))?;
            device
        }
        Err(error) => return Ok(tell(closed(part, choice, &error.to_string()))?),
    };
    let cpu = matches!(choice, DeviceChoice::Flex | DeviceChoice::NdArray);
    let precisions = if cpu { &[Precision::F64, Precision::F32][..] } else { &[Precision::F32] };
    let fix = "gradients are wrong on this device: do not train on it, and report it with what `doctor` says of the machine";
    for &precision in precisions {
        let (error, most) = (gradient_error(&device, precision), precision.tolerance());
        let name = format!("gradient, {}", if precision == Precision::F64 { "f64" } else { "f32" });
        let found = format!(
            "{error:.1e} of its norm from finite differences, at most {most:.0e} is allowed"
        );
        tell(Finding::check(part, &name, error < most, found, fix).with("error", error))?;
    }
    if let Some(error) = fused_error(choice)? {
        let found = format!(
            "{error:.1e} of the gradient's norm from burn's own, at most {FUSED:.0e} is allowed"
        );
        let finding = Finding::check(part, "fused operations", error < FUSED, found, fix);
        tell(finding.with("error", error))?;
    }

    let several = DeviceChoice::compiled_in().len() > 1;
    let budget = Duration::from_millis(if quick { 50 } else { 400 });
    let sizes = sizes();
    for work in &sizes[..if several && !quick { sizes.len() } else { 2 }] {
        let updates = updates_per_second(choice, work, budget)?;
        let found = format!("{} updates/s", rate_of(updates));
        tell(Finding::info(part, &name(work), found).with(UPDATES, updates))?;
    }
    let one = Work { rows: 1, ..sizes[0].clone() };
    let actions = actions_per_second(choice, &one, budget)?;
    let found = format!("{} a second, one observation after the other", rate(actions));
    tell(Finding::info(part, "actions, 64×64", found).with("actions_per_second", actions))?;
    Ok(())
}

/// A rate, with the digits that matter where it is small.
fn rate_of(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.2}") } else { rate(per_second) }
}

fn closed(part: &str, choice: DeviceChoice, error: &str) -> Finding {
    let fix = match choice {
        DeviceChoice::Wgpu => {
            "install a graphics driver (Debian's mesa-vulkan-drivers has one for the CPU), or leave --device wgpu out"
        }
        DeviceChoice::Cuda(_) => {
            "install NVIDIA's driver and the CUDA toolkit's run-time libraries, or leave --device cuda out"
        }
        _ => "report it, with what `doctor` says of the machine",
    };
    Finding::fail(part, "opens", error, fix)
}

/// Which device for which size, by what was measured.
pub(super) fn recommend(found: &[Finding], tell: Tell<'_>) -> std::io::Result<()> {
    let part = "which device";
    let auto = DeviceChoice::Auto.resolve();
    let built = DeviceChoice::compiled_in();
    if built.len() == 1 {
        let words = format!("{auto}, the only one of this build; `--features` adds others");
        return tell(Finding::info(part, "--device auto", words));
    }
    tell(Finding::info(part, "--device auto", format!("takes {auto}, whatever the size")))?;
    for work in sizes() {
        let name = name(&work);
        let measured: Vec<(DeviceChoice, f64)> = built
            .iter()
            .filter_map(|device| {
                let part = format!("device {device}");
                let mut of = found.iter().filter(|f| f.part == part && f.name == name);
                Some((*device, *of.next()?.values.get(UPDATES)?))
            })
            .collect();
        let Some(best) = DeviceChoice::fastest(&measured) else { continue };
        let speed = |device| measured.iter().find(|(it, _)| *it == device).map(|(_, speed)| *speed);
        let words = match (speed(best), speed(auto)) {
            (Some(of_best), Some(of_auto)) if best != auto => {
                format!("`--device {best}`: {:.1} times as fast as {auto}", of_best / of_auto)
            }
            _ => format!("{best}"),
        };
        tell(Finding::info(part, &name, words))?;
    }
    Ok(())
}
