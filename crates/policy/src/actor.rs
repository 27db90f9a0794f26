//! A policy at work in several episodes at once.

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::{Distribution, Policy, PolicyError, Snapshot};

/// A policy that acts, with what it remembers of each episode.
///
/// A policy without a memory can be asked directly ([`Policy::act`]); one with a recurrent layer needs
/// an actor, which keeps the memory of every lane and forgets it when the lane begins an episode.
///
/// ```
/// use elegante_policy::{ActionHead, Actor, Cell, DeviceChoice, MlpConfig, PolicyConfig};
/// use rand::SeedableRng;
///
/// let network = MlpConfig { recurrent: Cell::Gru, ..MlpConfig::default() };
/// let config = PolicyConfig::new(2, ActionHead::Categorical { n: 3 }, network);
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(0);
/// let policy = config.init(&mut rng, &DeviceChoice::Auto.open()?)?;
/// let mut actor = Actor::new(&policy, 1);
/// for observation in [[0.1, 0.2], [0.3, 0.4]] {
///     let action = policy.to_env(actor.look(&[0], &observation, &[])?.mode()?);
///     assert_eq!(action.rows(), 1);
/// }
/// actor.begin(0); // the next episode
/// # Ok::<(), elegante_policy::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Actor<'a> {
    snapshot: Snapshot<'a>,
    /// `[lanes × memory]`.
    memory: Vec<f32>,
}

impl<'a> Actor<'a> {
    /// An actor in `lanes` episodes that are about to begin.
    pub fn new(policy: &'a Policy, lanes: usize) -> Self {
        let memory = vec![0.0; lanes * policy.memory()];
        Self { snapshot: policy.snapshot(), memory }
    }

    /// Lane `lane` begins an episode: what was remembered of the last one is forgotten.
    pub fn begin(&mut self, lane: usize) {
        let memory = self.snapshot.policy().memory();
        self.memory[lane * memory..(lane + 1) * memory].fill(0.0);
    }

    /// πθ(·|s) for the observation of each of `lanes`, over the actions that `valid` allows.
    ///
    /// # Shapes
    /// `observations`: `[lanes × observation]`, as the environment gave them; `valid`: empty, or
    /// `[lanes × choices]`.
    ///
    /// # Errors
    /// When a length is wrong, an observation is not finite, or a mask forbids everything.
    pub fn look(
        &mut self,
        lanes: &[usize],
        observations: &[f32],
        valid: &[bool],
    ) -> Result<Distribution, PolicyError> {
        let Self { snapshot, memory: remembered } = self;
        let (policy, device) = (snapshot.policy(), snapshot.device());
        let (rows, width) = (lanes.len(), policy.config().observation);
        let observations = policy.prepare(observations, rows)?;
        let valid = policy.mask(valid, rows, device)?;
        let memory = policy.memory();
        if memory == 0 {
            return Ok(snapshot.forward(&observations, valid));
        }
        let observations = Tensor::from_data(TensorData::new(observations, [rows, width]), device);
        let mine = lanes.iter().flat_map(|lane| &remembered[lane * memory..(lane + 1) * memory]);
        let mine = TensorData::new(mine.copied().collect::<Vec<_>>(), [rows, memory]);
        let (outputs, after) = policy.step(observations, Tensor::from_data(mine, device));
        let after: Vec<f32> = after.into_data().iter::<f32>().collect();
        for (lane, after) in lanes.iter().zip(after.chunks_exact(memory)) {
            remembered[lane * memory..(lane + 1) * memory].copy_from_slice(after);
        }
        Ok(policy.distribution_of(outputs, valid))
    }
}

impl Policy {
    /// `[rows × choices]` flags as a tensor; nothing when there are none.
    fn mask(
        &self,
        valid: &[bool],
        rows: usize,
        device: &Device,
    ) -> Result<Option<Tensor<2, Bool>>, PolicyError> {
        if valid.is_empty() {
            return Ok(None);
        }
        let choices = self.config().action.choices();
        if valid.len() != rows * choices {
            let given = valid.len() / rows.max(1);
            return Err(PolicyError::MaskLength { expected: choices, given });
        }
        self.config().action.check_mask(valid)?;
        let data = TensorData::new(valid.to_vec(), [rows, choices]);
        Ok(Some(Tensor::from_data(data, device)))
    }
}
