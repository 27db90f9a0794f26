//! Where the policy plays: a thread of its own, lest an environment that takes its time hold up the keys.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use elegante::{
    DeviceChoice, EnvError, Policy, TrainError,
    env::{AnyEnv, Scene},
    experiment::{Moment, Player},
};

use super::pace::Pace;

/// From one picture to the next, at least.
const PICTURE: Duration = Duration::from_millis(100);
/// Environment steps from one picture to the next: as many a second as `play` shows.
const STEPS: usize = 5;
/// How long the last picture of an episode stays.
const REST: Duration = Duration::from_millis(700);

/// Makes the environment that the policy plays in.
pub(crate) type Make = Box<dyn Fn() -> Result<AnyEnv, EnvError> + Send>;

/// A policy that is to play next.
pub(super) struct Cast {
    pub(super) seed: u64,
    pub(super) steps: u64,
    /// The bytes of its file.
    pub(super) bytes: Vec<u8>,
}

/// What is to be seen on the stage at the moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    /// Whose policy it is, and after how many steps it was taken; `None` before there was one.
    pub(super) of: Option<(u64, u64)>,
    pub(super) scene: Option<Scene>,
    /// Episodes shown so far of this and earlier policies, the one that is on included.
    pub(super) episode: u64,
    /// Steps and return of the episode.
    pub(super) length: usize,
    pub(super) episode_return: f64,
    /// Why nothing more is to be seen, if so.
    pub(super) trouble: Option<String>,
}

/// A policy at play.
pub(super) struct Stage {
    shared: Arc<Shared>,
    casts: Option<Sender<Cast>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    sight: Mutex<Sight>,
    cues: Mutex<Cues>,
    cued: Condvar,
}

#[derive(Default)]
struct Cues {
    /// The next episode waits for a policy.
    hungry: bool,
    /// Another policy is wanted than the one that plays.
    hurry: bool,
    over: bool,
}

impl Stage {
    /// Opens it, empty. Episodes are those of an evaluation with `seed`, one after the other.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn open(make: Make, device: DeviceChoice, seed: u64) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.cue(|cues| cues.hungry = true);
        let (casts, arriving) = channel();
        let on_stage = Arc::clone(&shared);
        let thread = thread::Builder::new().name("stage".into()).spawn(move || {
            let mut troupe = Troupe { shared: &on_stage, make, device, seed, episode: 0 };
            if let Err(trouble) = troupe.play_all(&arriving) {
                on_stage.sight().trouble = Some(trouble);
            }
        })?;
        Ok(Self { shared, casts: Some(casts), thread: Some(thread) })
    }

    /// Whether a policy is wanted; it is so until one comes.
    pub(super) fn hungry(&self) -> bool {
        self.shared.cues().hungry
    }

    /// Ends the episode that is on: somebody else's policy is to play.
    pub(super) fn hurry(&self) {
        self.shared.cue(|cues| (cues.hurry, cues.hungry) = (true, true));
    }

    /// Has this policy play the next episode.
    pub(super) fn cast(&self, cast: Cast) {
        self.shared.cue(|cues| cues.hungry = false);
        if let Some(casts) = &self.casts {
            // A stage that came to grief says so itself.
            let _ = casts.send(cast);
        }
    }

    pub(super) fn sight(&self) -> Sight {
        self.shared.sight().clone()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shared.cue(|cues| cues.over = true);
        self.casts = None;
        if let Some(thread) = self.thread.take() {
            // Its panic has been told by the hook.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn sight(&self) -> MutexGuard<'_, Sight> {
        self.sight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cues(&self) -> MutexGuard<'_, Cues> {
        self.cues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cue(&self, change: impl FnOnce(&mut Cues)) {
        change(&mut self.cues());
        self.cued.notify_all();
    }

    /// Waits this long; whether the episode is to go on then.
    fn wait(&self, time: Duration) -> bool {
        let goes_on = |cues: &mut Cues| !cues.over && !cues.hurry;
        let waited = self.cued.wait_timeout_while(self.cues(), time, goes_on);
        goes_on(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// What the thread has.
struct Troupe<'a> {
    shared: &'a Shared,
    make: Make,
    device: DeviceChoice,
    seed: u64,
    episode: u64,
}

impl Troupe<'_> {
    /// Plays an episode of each policy that comes, the newest where several wait. The error says why there
    /// is nothing more to see.
    fn play_all(&mut self, arriving: &Receiver<Cast>) -> Result<(), String> {
        let device = self.device.open().map_err(|error| error.to_string())?;
        loop {
            let cast = match arriving.recv() {
                Ok(cast) => arriving.try_iter().last().unwrap_or(cast),
                Err(_) => return Ok(()),
            };
            self.shared.cue(|cues| cues.hurry = false);
            let policy = Policy::from_safetensors(&cast.bytes, &device)?;
            let env = (self.make)().map_err(|error| error.to_string())?;
            let mut player = Player::new(&policy, env, self.seed, false);
            self.play(&mut player, &cast).map_err(|error| error.to_string())?;
            if self.shared.wait(REST) {
                self.shared.cue(|cues| cues.hungry = true);
            }
        }
    }

    fn play(&mut self, player: &mut Player<'_>, cast: &Cast) -> Result<(), TrainError> {
        player.begin(self.episode)?;
        self.episode += 1;
        self.show(player, cast, None);
        let mut pace = Pace::new(PICTURE);
        while self.shared.wait(pace.left()) {
            let began = Instant::now();
            let mut moment = player.step()?;
            for _ in 1..STEPS {
                // Environments that take long are shown step by step.
                if moment.ending.is_some() || began.elapsed() > PICTURE / 200 {
                    break;
                }
                moment = player.step()?;
            }
            self.show(player, cast, Some(&moment));
            pace.took(began.elapsed());
            if moment.ending.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn show(&self, player: &Player<'_>, cast: &Cast, moment: Option<&Moment>) {
        let scene = player.scene();
        *self.shared.sight() = Sight {
            of: Some((cast.seed, cast.steps)),
            scene,
            episode: self.episode,
            length: moment.map_or(0, |moment| moment.length),
            episode_return: moment.map_or(0.0, |moment| moment.episode_return),
            trouble: None,
        };
    }
}
