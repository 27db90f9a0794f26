//! What wrappers leave to the environment inside.

/// The methods of [`Env`](crate::Env) that a wrapper with a field `env` leaves to what is inside.
macro_rules! forward {
    ($($method:ident),*) => { $(forward!(@$method);)* };
    (@observation_space) => {
        fn observation_space(&self) -> $crate::Space {
            self.env.observation_space()
        }
    };
    (@action_space) => {
        fn action_space(&self) -> <Self::Action as $crate::ActionKind>::Space {
            self.env.action_space()
        }
    };
    (@action_mask) => {
        fn action_mask(&self) -> Option<&[bool]> {
            self.env.action_mask()
        }
    };
    (@scene) => {
        fn scene(&self) -> Option<$crate::Scene> {
            self.env.scene()
        }
    };
    // A wrapper without a state of its own.
    (@state) => {
        fn save_state(&self) -> Option<Vec<u8>> {
            self.env.save_state()
        }

        fn load_state(&mut self, state: &[u8]) -> Result<(), $crate::EnvError> {
            self.env.load_state(state)
        }
    };
}

/// The same for [`VectorEnv`](crate::VectorEnv).
macro_rules! forward_lanes {
    ($($method:ident),*) => { $(forward_lanes!(@$method);)* };
    // Its finished episodes are those of the environment inside, their returns as they are there.
    (@lanes) => {
        fn lanes(&self) -> usize {
            self.env.lanes()
        }

        fn finished(&self) -> &[$crate::FinishedEpisode] {
            self.env.finished()
        }
    };
    (@observation_space) => {
        fn observation_space(&self) -> $crate::Space {
            self.env.observation_space()
        }
    };
    (@action_space) => {
        fn action_space(&self) -> $crate::Space {
            self.env.action_space()
        }
    };
    (@reset) => {
        fn reset(&mut self, seed: u64, obs: &mut [f32]) -> Result<(), $crate::EnvError> {
            self.env.reset(seed, obs)
        }

        fn reset_lane(
            &mut self,
            lane: usize,
            reset: &$crate::Reset,
            obs: &mut [f32],
        ) -> Result<(), $crate::EnvError> {
            self.env.reset_lane(lane, reset, obs)
        }
    };
    // Both kinds of step call the wrapper's own `advance`.
    (@steps) => {
        fn step_lanes(
            &mut self,
            active: &[usize],
            actions: $crate::Actions<'_>,
            out: $crate::StepOut<'_>,
        ) -> Result<(), $crate::EnvError> {
            self.advance(Some(active), actions, out)
        }

        fn step(
            &mut self,
            actions: $crate::Actions<'_>,
            out: $crate::StepOut<'_>,
        ) -> Result<(), $crate::EnvError> {
            self.advance(None, actions, out)
        }
    };
    (@action_mask) => {
        fn action_mask(&self, lane: usize) -> Option<&[bool]> {
            self.env.action_mask(lane)
        }
    };
    (@scene) => {
        fn scene(&self, lane: usize) -> Option<$crate::Scene> {
            self.env.scene(lane)
        }
    };
    // A wrapper without a state of its own.
    (@state) => {
        fn save_state(&self, lane: usize) -> Option<$crate::LaneState> {
            self.env.save_state(lane)
        }

        fn load_state(
            &mut self,
            lane: usize,
            state: &$crate::LaneState,
        ) -> Result<(), $crate::EnvError> {
            self.env.load_state(lane, state)
        }
    };
    // A wrapper whose own state of a lane is written by `own_state` and read by `set_own_state`.
    (@own_state) => {
        fn save_state(&self, lane: usize) -> Option<$crate::LaneState> {
            let inner = self.env.save_state(lane)?;
            let env = $crate::wrappers::save(&self.own_state(lane), Some(inner.env))?;
            Some($crate::LaneState { env, ..inner })
        }

        fn load_state(
            &mut self,
            lane: usize,
            state: &$crate::LaneState,
        ) -> Result<(), $crate::EnvError> {
            let (own, env) = $crate::wrappers::load(&state.env)?;
            let own = self.checked(own)?;
            self.env.load_state(lane, &$crate::LaneState { env, ..*state })?;
            self.set_own_state(lane, own);
            Ok(())
        }
    };
}
