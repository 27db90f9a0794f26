//! The same seed, the same bytes: twice, and on two threads.

use elegante::{
    Algorithm, DeviceChoice, ReinforceConfig, RunConfig, TimeLimit, TrainConfig, TrainError,
    Trainer, env::CartPole, trainer::PpoConfig,
};
use std::ops::ControlFlow;

use super::finding::{Finding, Tell};

const FIX: &str = "a result that can't be repeated can't be measured: report it, with what `doctor` says of the machine";

pub(super) fn examine(part: &str, tell: Tell<'_>) -> anyhow::Result<()> {
    let device = DeviceChoice::Auto.resolve();
    if !matches!(device, DeviceChoice::Flex | DeviceChoice::NdArray) {
        let found = format!("{device} sums in no fixed order; a CPU backend gives the same bits");
        return Ok(tell(Finding::skip(part, "same bytes", found))?);
    }
    let ppo = PpoConfig { n_steps: 64, epochs: 2, ..PpoConfig::default() };
    let reinforce = ReinforceConfig { batch_steps: 500, ..ReinforceConfig::default() };
    for (name, algorithm) in
        [("ppo", Algorithm::Ppo(ppo)), ("reinforce", Algorithm::Reinforce(reinforce))]
    {
        let trained = |threads, seed| train(&algorithm, threads, seed);
        let first = trained(1, 0)?;
        for (what, threads) in [("again", 1), ("on two threads", 2)] {
            let same = trained(threads, 0)? == first;
            let found = if same { "the same weights, byte for byte" } else { "other weights" };
            tell(Finding::check(part, &format!("{name}, {what}"), same, found, FIX))?;
        }
        let other = trained(1, 1)? != first;
        let found = if other { "other weights" } else { "the same weights" };
        tell(Finding::check(part, &format!("{name}, another seed"), other, found, FIX))?;
    }
    Ok(())
}

/// The weights that a short run ends with.
fn train(algorithm: &Algorithm, threads: usize, seed: u64) -> Result<Vec<u8>, TrainError> {
    let run = RunConfig { steps: 1_500, lanes: 8, threads, seed, ..RunConfig::default() };
    let mut config = TrainConfig { run, algorithm: algorithm.clone(), ..TrainConfig::default() };
    config.network.hidden = vec![16];
    let make = || Ok(elegante::env::AnyEnv::new(TimeLimit::new(CartPole::default(), 200)?));
    let mut trainer = Trainer::from_factory(config, make)?;
    trainer.run(|_| ControlFlow::Continue(()))?;
    trainer.policy().to_safetensors().map_err(TrainError::Unsupported)
}
