//! Environments whose type is known only at run time.

use crate::{Action, ActionKind, Env, EnvError, Reset, Scene, Space, Step};

/// [`Env`] with its action type erased, so that it can be a trait object. Every `Env` is one.
pub trait DynEnv: Send {
    /// See [`Env::observation_space`].
    fn observation_space(&self) -> Space;

    /// See [`Env::action_space`].
    fn action_space(&self) -> Space;

    /// See [`Env::reset`].
    ///
    /// # Errors
    /// As there.
    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError>;

    /// See [`Env::step`].
    ///
    /// # Errors
    /// As there, and when the action is of the wrong kind.
    fn step(&mut self, action: Action<'_>, obs: &mut [f32]) -> Result<Step, EnvError>;

    /// See [`Env::action_mask`].
    fn action_mask(&self) -> Option<&[bool]>;

    /// See [`Env::save_state`].
    fn save_state(&self) -> Option<Vec<u8>>;

    /// See [`Env::load_state`].
    ///
    /// # Errors
    /// As there.
    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError>;

    /// See [`Env::scene`].
    fn scene(&self) -> Option<Scene>;
}

impl<E: Env> DynEnv for E {
    fn observation_space(&self) -> Space {
        Env::observation_space(self)
    }

    fn action_space(&self) -> Space {
        Env::action_space(self).into()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        Env::reset(self, reset, obs)
    }

    #[inline]
    fn step(&mut self, action: Action<'_>, obs: &mut [f32]) -> Result<Step, EnvError> {
        E::Action::unerase(action, |action| Env::step(self, action, obs))?
    }

    fn action_mask(&self) -> Option<&[bool]> {
        Env::action_mask(self)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        Env::save_state(self)
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        Env::load_state(self, state)
    }

    fn scene(&self) -> Option<Scene> {
        Env::scene(self)
    }
}

/// Any environment at all, in a box.
///
/// [`DynEnv`]'s methods can be called on it without importing that trait; importing it beside [`Env`]
/// makes `env.step(…)` ambiguous for typed environments.
pub struct AnyEnv(Box<dyn DynEnv>);

impl AnyEnv {
    /// Boxes an environment.
    pub fn new(env: impl Env + 'static) -> Self {
        Self(Box::new(env))
    }
}

impl std::fmt::Debug for AnyEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AnyEnv({} → {})", self.observation_space(), self.action_space())
    }
}

impl std::ops::Deref for AnyEnv {
    type Target = dyn DynEnv;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl std::ops::DerefMut for AnyEnv {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.0
    }
}

impl DynEnv for AnyEnv {
    fn observation_space(&self) -> Space {
        self.0.observation_space()
    }

    fn action_space(&self) -> Space {
        self.0.action_space()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.0.reset(reset, obs)
    }

    fn step(&mut self, action: Action<'_>, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.0.step(action, obs)
    }

    fn action_mask(&self) -> Option<&[bool]> {
        self.0.action_mask()
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        self.0.save_state()
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        self.0.load_state(state)
    }

    fn scene(&self) -> Option<Scene> {
        self.0.scene()
    }
}
