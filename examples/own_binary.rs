//! A program of your own with elegante's command line: `train`, `eval`, `play` and the rest, for the
//! environments that you register. The last function of this file is all that it takes.
//!
//! ```sh
//! cargo run --release --example own_binary -- train Catch-v0 --out runs/catch
//! cargo run --release --example own_binary -- play runs/catch
//! cargo run --release --example own_binary -- train Catch-v0 --set env_options.columns=7
//! ```

use std::process::ExitCode;

use elegante::env::{
    AnyEnv, BoxSpace, Discrete, Entry, Env, EnvError, EnvRng, Registry, Reset, Scene, Space, Step,
    state,
};
use serde::{Deserialize, Serialize};

/// A ball falls a row at a step through a field of columns, and a paddle on the floor moves to be where
/// it lands: 1 for a ball that is caught, −1 for one that is missed.
struct Catch {
    columns: usize,
    rows: usize,
    game: Game,
    /// Whether left, stay and right stay inside the field.
    valid: [bool; 3],
}

/// All that changes.
#[derive(Serialize, Deserialize)]
struct Game {
    rng: EnvRng,
    /// Column and row; row 0 is the floor.
    ball: [usize; 2],
    paddle: usize,
}

impl Catch {
    fn new(columns: usize, rows: usize) -> Self {
        let game = Game { rng: EnvRng::new(0), ball: [0, 0], paddle: columns / 2 };
        Self { columns, rows, game, valid: [true; 3] }
    }

    /// Networks like numbers of about 1: every column and row is taken as a part of the whole.
    fn observe(&mut self, obs: &mut [f32]) {
        let Game { ball: [column, row], paddle, .. } = self.game;
        let (width, height) = (self.columns as f32, self.rows as f32);
        obs.copy_from_slice(&[column as f32 / width, row as f32 / height, paddle as f32 / width]);
        self.valid = [paddle > 0, true, paddle + 1 < self.columns];
    }
}

impl Env for Catch {
    type Action = usize;

    fn observation_space(&self) -> Space {
        BoxSpace::new(vec![0.0; 3], vec![1.0; 3]).expect("0 is below 1").into()
    }

    fn action_space(&self) -> Discrete {
        Discrete::new(3)
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        reset.check_options("Catch", &[])?;
        if let Some(seed) = reset.seed {
            self.game.rng = EnvRng::new(seed);
        }
        let column = self.game.rng.uniform(0.0, self.columns as f64) as usize;
        self.game.ball = [column, self.rows - 1];
        self.game.paddle = self.columns / 2;
        self.observe(obs);
        Ok(())
    }

    fn step(&mut self, &action: &usize, obs: &mut [f32]) -> Result<Step, EnvError> {
        if self.game.ball[1] == 0 {
            return Err(EnvError::NotReset);
        }
        if self.valid.get(action) != Some(&true) {
            return Err(EnvError::action_out_of_space(action, self.action_space()));
        }
        self.game.paddle = self.game.paddle + action - 1;
        self.game.ball[1] -= 1;
        self.observe(obs);
        let [column, row] = self.game.ball;
        Ok(match (row, column == self.game.paddle) {
            (0, true) => Step::terminated(1.0),
            (0, false) => Step::terminated(-1.0),
            _ => Step::going(0.0),
        })
    }

    fn action_mask(&self) -> Option<&[bool]> {
        Some(&self.valid)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        state::save(&self.game)
    }

    fn load_state(&mut self, bytes: &[u8]) -> Result<(), EnvError> {
        let game: Game = state::load(bytes)?;
        if game.ball[0].max(game.paddle) >= self.columns || game.ball[1] >= self.rows {
            return Err(EnvError::BadState("it lies outside the field".into()));
        }
        self.game = game;
        self.observe(&mut [0.0; 3]);
        Ok(())
    }

    fn scene(&self) -> Option<Scene> {
        let mut scene = Scene::new([0.0, self.columns as f64], [0.0, self.rows as f64]);
        let [column, row] = self.game.ball.map(|cell| cell as f64);
        let paddle = self.game.paddle as f64;
        scene.rectangle([paddle, 0.0], [paddle + 1.0, 0.3], [38, 70, 83]);
        scene.circle([column + 0.5, row + 0.5], 0.4, [231, 111, 81]);
        Some(scene)
    }
}

/// The entry by which the command line, configuration files and saved runs know it.
fn catch() -> Entry {
    let make = |options: &toml::Table| {
        let side = |name: &str, usual: i64| {
            let value = options.get(name).cloned().unwrap_or(usual.into());
            let side = value.as_integer().and_then(|side| usize::try_from(side).ok());
            side.filter(|side| (2..=100).contains(side)).ok_or_else(|| EnvError::OptionValue {
                env: "Catch".into(),
                option: name.into(),
                value: value.to_string(),
                expected: "a whole number from 2 to 100",
            })
        };
        Ok(AnyEnv::new(Catch::new(side("columns", 5)?, side("rows", 10)?)))
    };
    Entry::new("Catch-v0", "catch a falling ball", make)
        .reward_threshold(0.99)
        .option("columns", 5, "columns of the field, 2 to 100")
        .option("rows", 10, "rows that the ball falls through, 2 to 100")
}

fn main() -> ExitCode {
    let mut registry = Registry::standard();
    registry.register(catch()).expect("a name that is not taken");
    elegante_cli::main_with(registry)
}
