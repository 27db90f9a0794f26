//! How fast experience is kept and drawn, by the very functions that training calls.

use elegante_env::EnvRng;
use elegante_policy::{ActionBatch, ActionHead, ActionValues};

use super::numbers;
use crate::replay_buffer::{Draw, ReplayBuffer};

/// Observations of as many numbers, one of as many actions.
const WIDTH: usize = 4;
const ACTIONS: usize = 2;

/// A replay buffer that is full.
#[derive(Clone, Debug)]
pub struct Experience {
    buffer: ReplayBuffer,
    draw: Draw,
    stream: EnvRng,
    errors: Vec<f32>,
}

impl Experience {
    /// `transitions` of one lane, of which `size` at a time are drawn: with the same chance for all, or by
    /// priority.
    pub fn new(transitions: usize, size: usize, prioritized: bool) -> Self {
        let values = ActionValues { n: ACTIONS, dueling: false, quantiles: 1 };
        let head = ActionHead::EpsilonGreedy { values, epsilon: 0.0 };
        let alpha = prioritized.then_some(0.6);
        let errors = numbers(size, 3).iter().map(|&x| x as f32).collect();
        let mut experience = Self {
            buffer: ReplayBuffer::new(transitions, 1, WIDTH, &head, alpha),
            draw: Draw { size, n_steps: 1, gamma: 0.99, beta: 0.4 },
            stream: EnvRng::new(1),
            errors,
        };
        (0..transitions.max(1)).for_each(|_| experience.keep());
        experience
    }

    /// Keeps one step, in the place of the oldest.
    pub fn keep(&mut self) {
        let at = self.buffer.len() as f32;
        self.buffer.stand(&[at, 1.0, -at, 0.5], Vec::new());
        self.buffer.push(&ActionBatch::Discrete(vec![1]), &[1.0], &[None], Vec::new());
    }

    /// Draws a minibatch, and gives each of its transitions a new priority if they have such. Returns how many.
    pub fn draw(&mut self) -> usize {
        let drawn = self.buffer.draw(&self.draw, 0, &mut self.stream);
        self.buffer.prioritize(&drawn.rows, &self.errors);
        std::hint::black_box(drawn).rewards.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_stays_full_and_is_drawn_from() {
        for prioritized in [false, true] {
            let mut experience = Experience::new(50, 8, prioritized);
            experience.keep();
            assert_eq!((experience.buffer.len(), experience.draw()), (50, 8));
        }
    }
}
