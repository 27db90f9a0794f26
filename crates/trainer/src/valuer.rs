//! The values of a rollout, which need not wait for its end.

use std::sync::Arc;

use elegante_policy::{ActorCritic, in_memory};

use crate::{
    bridge::matrix,
    crew::{Ahead, Crew, Task},
};

/// Observations that the value network sees at once on a CPU and elsewhere; what the layers between make of them
/// should not outgrow the cache, nor the memory.
const VALUED: [usize; 2] = [1024, 4096];

/// What a value network without a memory says of a rollout, in a few large forward passes: the weights don't
/// change from its first step to its last. Another thread may make them while the environments go on.
pub(crate) struct Valuer<'a> {
    networks: Arc<ActorCritic>,
    crew: &'a Crew,
    /// Numbers of as many observations as are looked at together.
    part: usize,
    /// Of every whole part that there has been.
    begun: Vec<Ahead<Vec<f64>>>,
}

impl<'a> Valuer<'a> {
    pub(crate) fn new(networks: &ActorCritic, crew: &'a Crew) -> Self {
        let policy = networks.policy();
        let [here, elsewhere] = VALUED;
        let rows = if in_memory(&policy.device()) { here } else { elsewhere };
        let part = rows * policy.config().observation;
        Self { networks: Arc::new(networks.clone()), crew, part, begun: Vec::new() }
    }

    /// V of these observations.
    fn look(&self, observations: &[f32]) -> Task<Vec<f64>> {
        let (networks, observations) = (self.networks.clone(), observations.to_vec());
        Box::new(move || {
            let policy = networks.policy();
            let seen = matrix(observations, policy.config().observation, &policy.device());
            networks.value(seen).into_data().iter::<f64>().collect()
        })
    }

    /// Begins with the parts that are whole, of all that was observed so far.
    pub(crate) fn begin(&mut self, observations: &[f32]) {
        for part in observations.chunks_exact(self.part).skip(self.begun.len()) {
            self.begun.push(self.crew.ahead(self.look(part)));
        }
    }

    /// V of all that was observed, and of what was after it.
    pub(crate) fn finish(self, observations: &[f32], after: [&Vec<f32>; 2]) -> Vec<f64> {
        let mut rest = observations[self.begun.len() * self.part..].to_vec();
        after.iter().for_each(|after| rest.extend_from_slice(after));
        let rest: Vec<_> = rest.chunks(self.part).map(|part| self.look(part)()).collect();
        let begun = self.begun.into_iter().map(Ahead::get);
        begun.chain(rest).collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use elegante_env::EnvRng;
    use elegante_policy::{ActionHead, DeviceChoice, MlpConfig, PolicyConfig};

    use super::*;

    #[test]
    fn whole_parts_are_looked_at_ahead_and_all_of_them_come_in_order() {
        let network = MlpConfig { hidden: vec![8], ..MlpConfig::default() };
        let config = PolicyConfig::new(2, ActionHead::Categorical { n: 2 }, network);
        let mut rng = EnvRng::new(3);
        let device = DeviceChoice::Auto.open().unwrap();
        let networks = ActorCritic::init(&config, &mut rng.clone(), &mut rng, &device).unwrap();
        let crew = Crew::new(2);
        crew.all((0..2).map(|_| Box::new(|| ()) as Task<()>).collect());

        let mut valuer = Valuer::new(&networks, &crew);
        let rows = 5 * valuer.part / 4;
        let seen: Vec<f32> = (0..2 * rows).map(|_| rng.uniform(-1.0, 1.0) as f32).collect();
        valuer.begin(&seen[..valuer.part - 2]);
        assert!(valuer.begun.is_empty(), "nothing is whole yet");
        valuer.begin(&seen);
        valuer.begin(&seen);
        assert_eq!(valuer.begun.len(), 2, "each part once");
        assert!(valuer.begun.iter().all(|begun| matches!(begun, Ahead::Sent(_))));

        let after = [vec![0.5, -0.5], vec![0.25; 4]];
        let values = valuer.finish(&seen, after.each_ref());
        let all = [seen, after.concat()].concat();
        let expected = networks.value(matrix(all, 2, &device)).into_data();
        assert_eq!(values.len(), rows + 3);
        for (i, (ours, theirs)) in values.iter().zip(expected.iter::<f64>()).enumerate() {
            assert!((ours - theirs).abs() < 1e-6, "row {i}: {ours} and {theirs}");
        }
    }
}
