//! One Python environment as an [`Env`].

use elegante_env::{Action, ActionKind, AnyEnv, Ending, Env, EnvError, Reset, Space, Step};
use pyo3::{
    IntoPyObjectExt,
    buffer::PyBuffer,
    intern,
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};
use toml::Table;

use crate::python::{bridge, keywords, python, spaces};

/// The Python environment that Gymnasium knows as `id`, made with `options` as keyword arguments.
///
/// # Errors
/// With Python's traceback when it can't be made, for want of a package for example; and when one of
/// its spaces has no counterpart here, which is named.
pub fn make(id: &str, options: &Table) -> Result<AnyEnv, EnvError> {
    let lane = Lane::new(id, options)?;
    match &lane.action_space {
        Space::Discrete(_) => Ok(AnyEnv::new(GymnasiumEnv::<usize>::of(lane)?)),
        Space::Box(_) => Ok(AnyEnv::new(GymnasiumEnv::<[f32]>::of(lane)?)),
        Space::MultiDiscrete(_) => Ok(AnyEnv::new(GymnasiumEnv::<[usize]>::of(lane)?)),
        Space::MultiBinary(_) => Ok(AnyEnv::new(GymnasiumEnv::<[bool]>::of(lane)?)),
        other => Err(nobody_acts(id, other)),
    }
}

/// A Python environment whose kind of action is known. [`make`] boxes one of the right kind.
///
/// Time limits and terminal states stay apart as in Gymnasium; a step that is both is terminated.
/// `info["action_mask"]`, where an environment with discrete actions has it, becomes the action mask.
/// The state in the middle of an episode can't be saved, nor a picture be had.
pub struct GymnasiumEnv<A: ActionKind + ?Sized> {
    lane: Lane,
    action_space: A::Space,
}

impl<A: ActionKind + ?Sized> GymnasiumEnv<A> {
    /// The environment that Gymnasium knows as `id`, made with `options` as keyword arguments.
    ///
    /// # Errors
    /// As [`make`], and when its actions are of another kind.
    pub fn new(id: &str, options: &Table) -> Result<Self, EnvError> {
        Self::of(Lane::new(id, options)?)
    }

    fn of(lane: Lane) -> Result<Self, EnvError> {
        match A::space(&lane.action_space) {
            Some(action_space) => Ok(Self { lane, action_space }),
            None => Err(EnvError::custom(format!(
                "{}: its actions are in {}, which are of another kind",
                lane.id, lane.action_space
            ))),
        }
    }
}

impl<A: ActionKind + ?Sized> Env for GymnasiumEnv<A> {
    type Action = A;

    fn observation_space(&self) -> Space {
        self.lane.observation_space.clone()
    }

    fn action_space(&self) -> A::Space {
        self.action_space.clone()
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        self.lane.reset(reset, obs)
    }

    fn step(&mut self, action: &A, obs: &mut [f32]) -> Result<Step, EnvError> {
        self.lane.step(action.erase(), obs)
    }

    fn action_mask(&self) -> Option<&[bool]> {
        self.lane.mask.as_deref()
    }
}

/// A `Lane` of the bridge, and the arrays that it is read through.
struct Lane {
    id: String,
    python: Py<PyAny>,
    observation_space: Space,
    action_space: Space,
    /// `[obs_len]`, filled by Python at every step.
    seen: PyBuffer<f32>,
    /// `[n]` of n discrete actions, likewise.
    valid: PyBuffer<u8>,
    mask: Option<Vec<bool>>,
    under_way: bool,
}

impl Lane {
    fn new(id: &str, options: &Table) -> Result<Self, EnvError> {
        python(
            || format!("{id} can't be made"),
            |py| {
                let lane = bridge(py)?.call_method1("Lane", (id, keywords(py, options)?))?;
                let (observation_space, action_space) = spaces(&lane)?;
                Ok(Self {
                    id: id.to_owned(),
                    observation_space,
                    action_space,
                    seen: PyBuffer::get(&lane.getattr("obs")?)?,
                    valid: PyBuffer::get(&lane.getattr("mask")?)?,
                    python: lane.unbind(),
                    mask: None,
                    under_way: false,
                })
            },
        )
    }

    fn reset(&mut self, reset: &Reset, obs: &mut [f32]) -> Result<(), EnvError> {
        length(obs, self.seen.item_count())?;
        self.under_way = false;
        let masked = python(
            || format!("{}'s reset failed", self.id),
            |py| {
                let options = options(py, &reset.options)?;
                let lane = self.python.bind(py);
                let masked: bool =
                    lane.call_method1(intern!(py, "reset"), (reset.seed, options))?.extract()?;
                self.seen.copy_to_slice(py, obs)?;
                masked.then(|| self.valid.to_vec(py)).transpose()
            },
        )?;
        self.mask = masked.map(|valid| valid.iter().map(|v| *v != 0).collect());
        self.under_way = true;
        Ok(())
    }

    fn step(&mut self, action: Action<'_>, obs: &mut [f32]) -> Result<Step, EnvError> {
        length(obs, self.seen.item_count())?;
        if !self.under_way {
            return Err(EnvError::NotReset);
        }
        may_be(action, &self.action_space)?;
        let Self { id, python: lane, seen, valid, mask, .. } = self;
        let (reward, terminated, truncated) = python(
            || format!("{id}'s step failed"),
            |py| {
                let step =
                    lane.bind(py).call_method1(intern!(py, "step"), (object(py, action)?,))?;
                seen.copy_to_slice(py, obs)?;
                if let Some(mask) = mask {
                    let valid = valid.to_vec(py)?;
                    mask.iter_mut().zip(valid).for_each(|(mask, valid)| *mask = valid != 0);
                }
                step.extract::<(f64, bool, bool)>()
            },
        )?;
        let ending = match (terminated, truncated) {
            (true, _) => Some(Ending::Terminated),
            (false, true) => Some(Ending::Truncated),
            (false, false) => None,
        };
        self.under_way = ending.is_none();
        Ok(Step { reward, ending })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Windows and connections are let go; a failure to do so has nobody to hear of it.
        let _ = python(String::new, |py| self.python.call_method0(py, "close"));
    }
}

#[cold]
pub(crate) fn nobody_acts(id: &str, space: &Space) -> EnvError {
    EnvError::custom(format!("{id}: no action of ours is in {space}"))
}

/// Gymnasium's `options`; none where there are none.
pub(crate) fn options<'py>(py: Python<'py>, table: &Table) -> PyResult<Option<Bound<'py, PyDict>>> {
    if table.is_empty() { Ok(None) } else { keywords(py, table).map(Some) }
}

pub(crate) fn length(obs: &[f32], expected: usize) -> Result<(), EnvError> {
    match obs.len() {
        given if given == expected => Ok(()),
        given => Err(EnvError::Length { what: "obs", given, expected }),
    }
}

/// Refuses what can't be an action. Numbers beyond the bounds of a box are the environment's business,
/// as in Gymnasium; what is not a number is nobody's.
pub(crate) fn may_be(action: Action<'_>, space: &Space) -> Result<(), EnvError> {
    let fits = match (action, space) {
        (Action::Continuous(values), Space::Box(space)) => {
            values.len() == space.len() && values.iter().all(|x| x.is_finite())
        }
        _ => space.contains_action(action),
    };
    if fits { Ok(()) } else { Err(EnvError::action_out_of_space(action, space)) }
}

/// An action as the bridge reads it.
pub(crate) fn object<'py>(py: Python<'py>, action: Action<'_>) -> PyResult<Bound<'py, PyAny>> {
    match action {
        Action::Discrete(index) => index.into_bound_py_any(py),
        Action::Continuous(values) => {
            let size = size_of_val(values);
            let bytes = PyBytes::new_with(py, size, |bytes| {
                let (bytes, _) = bytes.as_chunks_mut::<4>();
                bytes.iter_mut().zip(values).for_each(|(b, x)| *b = x.to_ne_bytes());
                Ok(())
            });
            Ok(bytes?.into_any())
        }
        Action::MultiDiscrete(indices) => Ok(PyList::new(py, indices)?.into_any()),
        Action::MultiBinary(switches) => Ok(PyList::new(py, switches)?.into_any()),
    }
}
