//! The interpreter: started once, its exceptions turned into errors, TOML turned into its values.

use elegante_env::{EnvError, Space};
use pyo3::{
    IntoPyObjectExt,
    prelude::*,
    sync::PyOnceLock,
    types::{PyDict, PyList, PyModule},
};
use toml::{Table, Value};

/// A Python exception with its traceback.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {traceback}")]
pub struct PythonError {
    /// What Python was asked to do.
    doing: String,
    /// The exception as Python prints it.
    traceback: String,
}

impl PythonError {
    /// The exception as Python prints it: the traceback, then its type and message.
    pub fn traceback(&self) -> &str {
        &self.traceback
    }
}

/// Runs `work` in Python; an exception becomes an error that begins with what `doing` says.
pub(crate) fn python<R>(
    doing: impl Fn() -> String,
    work: impl for<'py> FnOnce(Python<'py>) -> PyResult<R>,
) -> Result<R, EnvError> {
    // The first call starts the interpreter, without handlers of its own for signals: Ctrl-C is ours.
    Python::initialize();
    Python::attach(|py| {
        work(py).map_err(|error| {
            let traceback = printed(py, &error).unwrap_or_else(|_| error.to_string());
            EnvError::custom(PythonError { doing: doing(), traceback })
        })
    })
}

/// As Python prints it, the exceptions that it came from included.
fn printed(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    // Before Python 3.12 an exception taken from C does not carry its traceback itself.
    let parts = (error.get_type(py), error.value(py), error.traceback(py));
    let lines = py.import("traceback")?.call_method1("format_exception", parts)?;
    Ok(lines.extract::<Vec<String>>()?.concat().trim_end().to_owned())
}

/// The Python side of the bridge.
pub(crate) fn bridge(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static BRIDGE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let code = pyo3::ffi::c_str!(include_str!("bridge.py"));
    let module = BRIDGE.get_or_try_init(py, || {
        PyModule::from_code(py, code, c"elegante/bridge.py", c"elegante_bridge").map(Bound::unbind)
    })?;
    Ok(module.bind(py))
}

/// Options as keyword arguments.
pub(crate) fn keywords<'py>(py: Python<'py>, table: &Table) -> PyResult<Bound<'py, PyDict>> {
    let keywords = PyDict::new(py);
    for (name, value) in table {
        keywords.set_item(name, object(py, value)?)?;
    }
    Ok(keywords)
}

fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::String(text) => text.into_bound_py_any(py),
        Value::Integer(number) => number.into_bound_py_any(py),
        Value::Float(number) => number.into_bound_py_any(py),
        Value::Boolean(flag) => flag.into_bound_py_any(py),
        Value::Datetime(time) => time.to_string().into_bound_py_any(py),
        Value::Table(table) => keywords(py, table)?.into_bound_py_any(py),
        Value::Array(values) => {
            let values = values.iter().map(|value| object(py, value));
            PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_bound_py_any(py)
        }
    }
}

/// The spaces of observations and of actions that an object of the bridge has.
pub(crate) fn spaces(of: &Bound<'_, PyAny>) -> PyResult<(Space, Space)> {
    let json: String = of.getattr("spaces")?.extract()?;
    serde_json::from_str(&json).map_err(|error| {
        pyo3::exceptions::PyValueError::new_err(format!("a space that is none, {error}: {json}"))
    })
}
