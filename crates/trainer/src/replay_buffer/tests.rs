use elegante_policy::ActionValues;

use super::*;
use crate::checkpoint::{Checkpoint, State};

/// Two lanes whose observation is 10·lane + time since the episode began, and whose reward is the time at
/// which a step ends. Lane 0's episodes terminate after 3 steps, lane 1's are cut off after 4.
struct Clocks {
    buffer: ReplayBuffer,
    time: [usize; 2],
}

const LIMITS: [usize; 2] = [3, 4];

impl Clocks {
    fn new(capacity: usize, alpha: Option<f64>) -> Self {
        let values = ActionValues { n: 5, dueling: false, quantiles: 1 };
        let head = ActionHead::EpsilonGreedy { values, epsilon: 0.0 };
        let mut clocks =
            Self { buffer: ReplayBuffer::new(capacity, 2, 1, &head, alpha), time: [0, 0] };
        clocks.stand();
        clocks
    }

    fn stand(&mut self) {
        let observations = [0, 1].map(|lane| (10 * lane + self.time[lane]) as f32);
        // Only what is odd in number is allowed in lane 1.
        let valid = (0..10).map(|i| i < 5 || i % 2 == 0).collect();
        self.buffer.stand(&observations, valid);
    }

    fn step(&mut self) {
        let action = self.time.map(|time| time % 5).to_vec();
        self.time.iter_mut().for_each(|time| *time += 1);
        let rewards = self.time.map(|time| time as f64);
        let over = [0, 1].map(|lane| self.time[lane] == LIMITS[lane]);
        let endings = [over[0].then_some(Ending::Terminated), over[1].then_some(Ending::Truncated)];
        // Where it is cut off, one action is allowed.
        let last = || Final {
            observation: vec![(10 + self.time[1]) as f32],
            valid: (0..5).map(|a| a == 4).collect(),
        };
        let finals = over[1].then(|| (1, last())).into_iter().collect();
        self.buffer.push(&ActionBatch::Discrete(action), &rewards, &endings, finals);
        self.time.iter_mut().zip(over).filter(|(_, over)| *over).for_each(|(time, _)| *time = 0);
        self.stand();
    }

    fn steps(mut self, n: usize) -> Self {
        (0..n).for_each(|_| self.step());
        self
    }
}

fn draw(size: usize, n_steps: usize) -> Draw {
    Draw { size, n_steps, gamma: 0.5, beta: 1.0 }
}

/// What a transition of that lane from that time on must be: reward, discount, successor.
fn expected(lane: usize, time: usize, n: usize, newest: usize) -> (f32, f32, f32) {
    let (mut reward, mut discount, mut t) = (0.0, 1.0, time);
    for k in 0..n {
        t += 1;
        reward += discount * t as f32;
        discount *= 0.5;
        if t == LIMITS[lane] {
            // Lane 0 goes nowhere from here; lane 1 would have gone on.
            return if lane == 0 { (reward, 0.0, time as f32) } else { (reward, discount, 14.0) };
        }
        if k == newest {
            break;
        }
    }
    (reward, discount, (10 * lane + t) as f32)
}

#[test]
fn every_transition_is_what_the_lanes_went_through_whatever_has_been_overwritten() {
    for n_steps in [1, 2, 3, 7] {
        for made in [1, 2, 5, 9, 23] {
            let clocks = Clocks::new(16, None).steps(made);
            let slots = made.min(8);
            assert_eq!(clocks.buffer.len(), 2 * slots);
            let drawn = clocks.buffer.draw(&draw(500, n_steps), 7, &mut EnvRng::new(1));
            assert_eq!(drawn.steps, 7);
            let mut seen = std::collections::BTreeSet::new();
            for i in 0..500 {
                let lane = drawn.rows[i] % 2;
                let time = drawn.observations[i] as usize - 10 * lane;
                seen.insert(drawn.rows[i]);
                // How many steps after this one were made before the newest.
                let slot = drawn.rows[i] / 2;
                let newest = (clocks.buffer.next + 7) % 8;
                let newest = if made < 8 { made - 1 - slot } else { (newest + 8 - slot) % 8 };
                let (reward, discount, next) = expected(lane, time, n_steps, newest);
                let ActionBatch::Discrete(actions) = &drawn.actions else { panic!() };
                let what = format!("{n_steps} of {made}, lane {lane}, time {time}");
                assert_eq!(actions[i], time % 5, "{what}");
                assert_eq!(drawn.rewards[i], reward, "{what}");
                assert_eq!(drawn.discounts[i], discount, "{what}");
                assert_eq!(drawn.next_observations[i], next, "{what}");
                let valid = &drawn.next_valid[5 * i..5 * i + 5];
                let allowed = |a: usize| match (lane, next) {
                    (0, _) => true,
                    (_, 14.0) => a == 4,
                    _ => a % 2 == 1,
                };
                assert_eq!(valid, (0..5).map(allowed).collect::<Vec<_>>(), "{what}");
            }
            assert_eq!(seen.len(), 2 * slots, "every row is drawn");
        }
    }
}

#[test]
fn rows_are_drawn_by_their_priority_and_weights_undo_it() {
    let mut clocks = Clocks::new(8, Some(0.5)).steps(4);
    let rows: Vec<usize> = (0..8).collect();
    // √ of it: 1, 2 and 3; the others nearly never.
    let errors = [1.0, 0.0, -4.0, 0.0, 9.0, 0.0, 0.0, 0.0];
    clocks.buffer.prioritize(&rows, &errors);
    let mut stream = EnvRng::new(5);
    let mut counts = [0f64; 8];
    for _ in 0..1_000 {
        let drawn = clocks.buffer.draw(&draw(6, 1), 0, &mut stream);
        // (N P)^−1 is in inverse proportion to the priority; the largest weight is 1.
        let known = drawn.rows.iter().all(|row| [0, 2, 4].contains(row));
        for (row, weight) in drawn.rows.iter().zip(&drawn.weights) {
            counts[*row] += 1.0 / 6_000.0;
            if known && drawn.rows.contains(&0) {
                assert!((weight - 1.0 / errors[*row].abs().sqrt()).abs() < 1e-3, "{drawn:?}");
            }
        }
    }
    for (row, share) in [(0, 1.0), (2, 2.0), (4, 3.0)] {
        assert!((counts[row] - share / 6.0).abs() < 0.02, "{counts:?}");
    }
    // What has not been learnt from yet is as likely as the likeliest so far.
    clocks.step();
    let drawn = clocks.buffer.draw(&draw(3_000, 1), 0, &mut stream);
    let share = |of: [usize; 2]| drawn.rows.iter().filter(|row| of.contains(row)).count();
    let new = share([0, 1]) as f64 / 3_000.0;
    assert!((new - 6.0 / 11.0).abs() < 0.01, "{new}");
}

#[test]
fn a_buffer_comes_back_from_a_checkpoint_and_draws_what_it_would_have_drawn() {
    for alpha in [None, Some(0.6)] {
        for made in [0, 3, 21] {
            let mut clocks = Clocks::new(16, alpha).steps(made);
            if made > 0 {
                clocks.buffer.prioritize(&[0, 1, 2], &[0.1, 3.0, -2.0]);
            }
            let mut checkpoint = Checkpoint::new(State::default());
            clocks.buffer.save(&mut checkpoint);
            let bytes = checkpoint.to_bytes().unwrap();
            let mut back = Clocks::new(16, alpha).buffer;
            back.restore(&mut Checkpoint::from_bytes(&bytes).unwrap()).unwrap();
            assert_eq!(back, clocks.buffer);
        }
    }
}

#[test]
fn a_checkpoint_without_masks_of_cut_off_episodes_allows_everything_there() {
    let clocks = Clocks::new(16, None).steps(4);
    let mut checkpoint = Checkpoint::new(State::default());
    clocks.buffer.save(&mut checkpoint);
    checkpoint.bytes.remove("replay.finals_valid").unwrap();
    let mut back = Clocks::new(16, None).buffer;
    back.restore(&mut checkpoint).unwrap();
    let drawn = back.draw(&draw(200, 1), 0, &mut EnvRng::new(1));
    let cut = drawn.next_observations.iter().position(|next| *next == 14.0).unwrap();
    assert_eq!(drawn.next_valid[5 * cut..5 * cut + 5], [true; 5]);
}

#[test]
fn a_checkpoint_of_another_buffer_is_refused() {
    let mut checkpoint = Checkpoint::new(State::default());
    Clocks::new(16, None).steps(5).buffer.save(&mut checkpoint);
    let bytes = checkpoint.to_bytes().unwrap();
    for (capacity, alpha) in [(18, None), (16, Some(0.6))] {
        let mut checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
        let error = Clocks::new(capacity, alpha).buffer.restore(&mut checkpoint).unwrap_err();
        assert!(error.to_string().contains("replay buffer is of another size"), "{error}");
    }
}

#[test]
fn a_lane_that_was_put_elsewhere_bootstraps_from_where_it_stood() {
    let mut clocks = Clocks::new(16, None).steps(2);
    clocks.buffer.cut(0);
    clocks.buffer.cut(1);
    clocks.time = [0, 0];
    clocks.stand();
    let drawn = clocks.buffer.draw(&draw(100, 3), 0, &mut EnvRng::new(2));
    for i in 0..100 {
        let lane = drawn.rows[i] % 2;
        assert_eq!(drawn.next_observations[i], (10 * lane + 2) as f32);
        assert!(drawn.discounts[i] > 0.0);
    }
}

#[test]
fn the_memory_told_is_the_memory_taken() {
    let values = ActionValues { n: 5, dueling: false, quantiles: 1 };
    let head = ActionHead::EpsilonGreedy { values, epsilon: 0.0 };
    let told = ReplayBuffer::bytes(1_000, 3, &head, (false, false));
    assert_eq!(told, 1_000 * (12 + 8 + 4 + 1));
    assert_eq!(ReplayBuffer::bytes(usize::MAX, 3, &head, (true, true)), u64::MAX);

    for (steps, most) in [(1_000, 16), (10, 10), (9, 10)] {
        let mut clocks = Clocks::new(16, Some(0.6));
        clocks.buffer.reserve(steps).unwrap();
        let taken = |clocks: &Clocks| {
            let ReplayBuffer { observations, rewards, endings, valid, actions, .. } =
                &clocks.buffer;
            let ActionBatch::Discrete(actions) = actions else { panic!("{actions:?}") };
            4 * observations.capacity()
                + 4 * rewards.capacity()
                + size_of::<Option<Ending>>() * endings.capacity()
                + valid.capacity()
                + size_of::<usize>() * actions.capacity()
        };
        let before = taken(&clocks);
        let clocks = clocks.steps(most / 2);
        assert_eq!(taken(&clocks), before, "nothing has been moved to more memory");
        let tree = size_of_val(clocks.buffer.priorities.as_ref().unwrap().tree.nodes()) as u64;
        let told = ReplayBuffer::bytes(most, 1, &head, (true, true));
        assert!(before as u64 + tree <= told && told <= before as u64 + 2 * tree, "{told}");
        // An observation and the mask of where lane 1 was cut off.
        let each = 4 + 5 + size_of::<(usize, Final)>() + FINAL_BESIDE;
        let finals = (clocks.buffer.cut_off() * each) as u64;
        assert_eq!(clocks.buffer.taken(), told + finals);
    }
}

#[test]
fn episodes_that_were_cut_off_are_counted_with_what_they_add() {
    let values = ActionValues { n: 2, dueling: false, quantiles: 1 };
    let head = ActionHead::EpsilonGreedy { values, epsilon: 0.0 };
    let mut buffer = ReplayBuffer::new(4, 1, 1_000, &head, None);
    let mut taken = Vec::new();
    for t in 0..6 {
        buffer.stand(&[0.0; 1_000], Vec::new());
        let last = Final { observation: vec![0.0; 1_000], valid: Vec::new() };
        let (ending, finals) = match t {
            0 => (None, Vec::new()),
            _ => (Some(Ending::Truncated), vec![(0, last)]),
        };
        buffer.push(&ActionBatch::Discrete(vec![0]), &[0.0], &[ending], finals);
        taken.push((buffer.taken(), buffer.cut_off()));
    }
    let row = ReplayBuffer::bytes(1, 1_000, &head, (false, false));
    assert_eq!(taken[0], (row, 0));
    for (t, pair) in taken.windows(2).enumerate() {
        let (more, cut_off) = (pair[1].0 - pair[0].0, pair[1].1);
        // Two observations in a step instead of one, until the oldest give way, the first of which had one.
        assert_eq!(cut_off, (t + 1).min(4), "after step {}", t + 1);
        let least = match t {
            0..=2 => row + 4_000,
            3 => 4_000,
            _ => 0,
        };
        assert!((least..least + 200).contains(&more), "{more} bytes for step {}", t + 1);
    }
}

#[test]
fn the_first_mask_of_all_may_be_where_an_episode_is_cut_off() {
    let values = ActionValues { n: 5, dueling: false, quantiles: 1 };
    let head = ActionHead::EpsilonGreedy { values, epsilon: 0.0 };
    let new = || ReplayBuffer::new(8, 1, 1, &head, None);
    let mut buffer = new();
    let only_last: Vec<bool> = (0..5).map(|a| a == 4).collect();
    buffer.stand(&[0.0], Vec::new());
    buffer.push(&ActionBatch::Discrete(vec![0]), &[0.0], &[None], Vec::new());
    buffer.stand(&[1.0], Vec::new());
    let last = Final { observation: vec![2.0], valid: only_last.clone() };
    let cut = [Some(Ending::Truncated)];
    buffer.push(&ActionBatch::Discrete(vec![0]), &[0.0], &cut, vec![(0, last)]);
    buffer.stand(&[0.0], Vec::new());
    let mut checkpoint = Checkpoint::new(State::default());
    buffer.save(&mut checkpoint);
    let mut back = new();
    back.restore(&mut checkpoint).unwrap();
    assert_eq!(back, buffer);
    // Nor need any state have had one before a lane is cut off by hand.
    let mut by_hand = new();
    by_hand.stand(&[0.0], Vec::new());
    by_hand.push(&ActionBatch::Discrete(vec![0]), &[0.0], &[None], Vec::new());
    by_hand.stand(&[2.0], only_last.clone());
    by_hand.cut(0);
    for buffer in [buffer, by_hand] {
        let drawn = buffer.draw(&draw(50, 1), 0, &mut EnvRng::new(1));
        let at = drawn.next_observations.iter().position(|next| *next == 2.0).unwrap();
        assert_eq!(drawn.next_valid[5 * at..5 * at + 5], only_last);
    }
}
