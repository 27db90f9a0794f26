//! Wrappers around environments whose type is known only at run time.

use crate::{ActionKind, AnyEnv, DynEnv, Env, EnvError, Reset, Scene, Space, Step};

/// An [`AnyEnv`] whose kind of action is known, so that it is an [`Env`] again; see
/// [`AnyEnv::typed`].
#[derive(Debug)]
pub struct Typed<A: ActionKind + ?Sized> {
    env: AnyEnv,
    space: A::Space,
}

impl<A: ActionKind + ?Sized> Env for Typed<A> {
    type Action = A;

    fn observation_space(&self) -> Space {
        DynEnv::observation_space(&self.env)
    }

    fn action_space(&self) -> A::Space {
        self.space.clone()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        DynEnv::reset(&mut self.env, reset, obs)
    }

    fn step(&mut self, action: &A, obs: &mut [f32]) -> Result<Step, EnvError> {
        DynEnv::step(&mut self.env, action.erase(), obs)
    }

    fn action_mask(&self) -> Option<&[bool]> {
        DynEnv::action_mask(&self.env)
    }

    fn save_state(&self) -> Option<Vec<u8>> {
        DynEnv::save_state(&self.env)
    }

    fn load_state(&mut self, state: &[u8]) -> Result<(), EnvError> {
        DynEnv::load_state(&mut self.env, state)
    }

    fn scene(&self) -> Option<Scene> {
        DynEnv::scene(&self.env)
    }
}

/// Wrappers to be put around an environment of any kind; see [`AnyEnv::wrap`].
pub trait Wrap {
    /// Wraps `env`.
    ///
    /// # Errors
    /// When a wrapper refuses it.
    fn wrap<E: Env + 'static>(self, env: E) -> Result<AnyEnv, EnvError>;
}

impl AnyEnv {
    /// The environment with its kind of action in its type: `usize`, `[f32]`, `[usize]` or `[bool]`.
    ///
    /// ```
    /// use elegante_env::{Env, Registry, wrappers::RepeatAction};
    ///
    /// let env = Registry::standard().make("CartPole-v1", &Default::default())?;
    /// let env = RepeatAction::new(env.typed::<usize>()?, 4)?;
    /// assert_eq!(env.action_space().n(), 2);
    /// # Ok::<(), elegante_env::EnvError>(())
    /// ```
    ///
    /// # Errors
    /// When it takes actions of another kind.
    pub fn typed<A: ActionKind + ?Sized>(self) -> Result<Typed<A>, EnvError> {
        let space = DynEnv::action_space(&self);
        match A::space(&space) {
            Some(space) => Ok(Typed { env: self, space }),
            None => Err(EnvError::ActionKind { given: A::NAME, expected: space.action_kind() }),
        }
    }

    /// Puts wrappers around it, whatever its kind of action.
    ///
    /// ```
    /// use elegante_env::wrappers::{FrameStack, StickyActions, Wrap};
    /// use elegante_env::{AnyEnv, Env, EnvError, Registry};
    ///
    /// struct Atari;
    ///
    /// impl Wrap for Atari {
    ///     fn wrap<E: Env + 'static>(self, env: E) -> Result<AnyEnv, EnvError> {
    ///         Ok(AnyEnv::new(FrameStack::new(StickyActions::new(env, 0.25)?, 4)?))
    ///     }
    /// }
    ///
    /// let env = Registry::standard().make("CartPole-v1", &Default::default())?.wrap(Atari)?;
    /// assert_eq!(env.observation_space().flat_len(), 16);
    /// # Ok::<(), EnvError>(())
    /// ```
    ///
    /// # Errors
    /// When a wrapper refuses it.
    pub fn wrap(self, wrappers: impl Wrap) -> Result<Self, EnvError> {
        match DynEnv::action_space(&self) {
            Space::Discrete(_) => wrappers.wrap(self.typed::<usize>()?),
            Space::Box(_) => wrappers.wrap(self.typed::<[f32]>()?),
            Space::MultiDiscrete(_) => wrappers.wrap(self.typed::<[usize]>()?),
            Space::MultiBinary(_) => wrappers.wrap(self.typed::<[bool]>()?),
            space @ (Space::Tuple(_) | Space::Dict(_)) => {
                Err(EnvError::Space(format!("{space} is no space of actions")))
            }
        }
    }
}
