//! Which device a network lives on, chosen at run time among the backends compiled in.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    str::FromStr,
    sync::{Arc, OnceLock},
};

use burn::{
    backend::DispatchDevice,
    tensor::{Device, Tensor},
};

use crate::PolicyError;

/// A device by name, as on the command line: `auto`, `flex`, `ndarray`, `wgpu`, `cuda`, `cuda:1`.
///
/// Naming one parses in every build; [`open`](Self::open) tells whether this build has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// The fastest for small networks among those compiled in: a CPU if there is one, since a small
    /// network's update is over before a GPU has been told of it (`docs/backends.md` has figures).
    #[default]
    Auto,
    /// burn-flex on the CPU.
    Flex,
    /// burn-ndarray on the CPU; deprecated by burn in favour of flex.
    NdArray,
    /// burn-wgpu: the best adapter that Vulkan, Metal or DirectX 12 offers.
    Wgpu,
    /// burn-cuda: the NVIDIA card of this index.
    Cuda(usize),
}

/// The devices in the order in which `auto` prefers them, each with whether it is compiled in.
const PREFERENCE: [(DeviceChoice, bool); 4] = [
    (DeviceChoice::Flex, cfg!(feature = "flex")),
    (DeviceChoice::NdArray, cfg!(feature = "ndarray")),
    (DeviceChoice::Cuda(0), cfg!(feature = "cuda")),
    (DeviceChoice::Wgpu, cfg!(feature = "wgpu")),
];

impl DeviceChoice {
    /// The devices of this build, the one that `auto` takes first.
    pub fn compiled_in() -> Vec<Self> {
        PREFERENCE.iter().filter(|(_, built)| *built).map(|(choice, _)| *choice).collect()
    }

    /// `auto` replaced by the device it stands for in this build.
    pub fn resolve(self) -> Self {
        match self {
            Self::Auto => Self::compiled_in().first().copied().unwrap_or_default(),
            named => named,
        }
    }

    /// Whether it computes on the CPU, in the memory of the program.
    pub fn on_host(self) -> bool {
        matches!(self.resolve(), Self::Flex | Self::NdArray)
    }

    /// The device to take for some work, by how often in a second each of them does it: the fastest, but
    /// `auto`'s own choice unless another is at least a quarter faster, since the clock is not so exact.
    ///
    /// `auto` itself does not measure anything, lest a run depend on how busy the machine was when it
    /// began: it stays with the order that is right for small networks.
    pub fn fastest(measured: &[(Self, f64)]) -> Option<Self> {
        let order = |choice: &Self| PREFERENCE.iter().position(|(known, _)| known == choice);
        let (usual, speed) = measured.iter().min_by_key(|(choice, _)| order(choice))?;
        let (best, top) = measured.iter().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some(if *top >= 1.25 * speed { *best } else { *usual })
    }

    /// Opens the device and runs one addition on it.
    ///
    /// # Errors
    /// [`PolicyError::DeviceNotCompiledIn`] names the feature to build with;
    /// [`PolicyError::DeviceUnusable`] says what the driver had to say.
    pub fn open(self) -> Result<Device, PolicyError> {
        let choice = self.resolve();
        if !Self::compiled_in().iter().any(|built| built.feature() == choice.feature()) {
            return Err(PolicyError::DeviceNotCompiledIn {
                name: choice.feature(),
                compiled_in: Self::compiled_in().iter().map(|built| built.feature()).collect(),
            });
        }
        // burn's GPU runtimes panic when there is no adapter or driver; a CPU has nothing to fail.
        match choice {
            Self::Wgpu | Self::Cuda(_) => quietly(|| probe(choice.construct()))
                .map_err(|reason| PolicyError::DeviceUnusable { name: choice.to_string(), reason }),
            _ => Ok(choice.construct()),
        }
    }

    /// What a GPU calls itself; `None` for CPUs, and where it does not open or does not say.
    pub fn hardware(self) -> Option<String> {
        match self.resolve() {
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            choice @ (Self::Wgpu | Self::Cuda(_)) => {
                let device = choice.open().ok()?;
                quietly(|| device.identity()).ok().flatten().map(|identity| identity.name)
            }
            _ => None,
        }
    }

    /// The Cargo feature, and the name without an index.
    pub fn feature(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Cuda(_) => "cuda",
        }
    }

    /// The burn device of a backend that `open` has found to be compiled in.
    fn construct(self) -> Device {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => Device::flex(),
            #[cfg(feature = "ndarray")]
            #[allow(
                deprecated,
                reason = "users ask for ndarray by name; the docs say it is deprecated"
            )]
            Self::NdArray => Device::ndarray(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Device::cuda(index),
            _ => Device::default(),
        }
    }
}

/// Whether a device computes in the memory of the program, with autodiff or without.
pub fn in_memory(device: &Device) -> bool {
    match device.clone().inner().as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        DispatchDevice::NdArray(_) => true,
        #[allow(unreachable_patterns, reason = "in a build for CPUs alone")]
        _ => false,
    }
}

/// Proves that the device computes before anything is built on it.
fn probe(device: Device) -> Device {
    let _ = (Tensor::<1>::ones([1], &device) + 1.0).into_data();
    device
}

/// Runs `work`; a panic comes back as its message, and nothing is printed.
///
/// burn's GPU runtimes start a device on a thread of their own. Where that panics, the caller panics too, with
/// nothing to say but that nobody answers: the first panic of any thread has the reason.
fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let first = Arc::new(OnceLock::new());
    let noted = Arc::clone(&first);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said =
            panic.payload_as_str().map(|said| said.trim().lines().next().unwrap_or_default());
        // Only the first is kept.
        let _ = noted.set(said.unwrap_or_default().to_owned());
    }));
    let result = catch_unwind(AssertUnwindSafe(work));
    std::panic::set_hook(hook);
    result.map_err(|_| match first.get() {
        Some(said) if !said.is_empty() => said.clone(),
        _ => "its driver gave no reason".to_owned(),
    })
}

impl FromStr for DeviceChoice {
    type Err = PolicyError;

    fn from_str(name: &str) -> Result<Self, PolicyError> {
        let (kind, index) = match name.split_once(':') {
            Some((kind, index)) => (kind, index.parse().ok()),
            None => (name, Some(0)),
        };
        match (kind, index) {
            ("auto", _) if name == kind => Ok(Self::Auto),
            ("flex", _) if name == kind => Ok(Self::Flex),
            ("ndarray", _) if name == kind => Ok(Self::NdArray),
            ("wgpu", _) if name == kind => Ok(Self::Wgpu),
            ("cuda", Some(index)) => Ok(Self::Cuda(index)),
            _ => Err(PolicyError::UnknownDevice { name: name.to_owned(), nearest: nearest(kind) }),
        }
    }
}

/// The device whose name shares the most letters at the start, if at least one.
fn nearest(name: &str) -> Option<&'static str> {
    let shared = |known: &str| {
        let pairs = known.chars().zip(name.chars());
        pairs.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
    ["auto", "flex", "ndarray", "wgpu", "cuda"]
        .into_iter()
        .filter(|known| shared(known) > 0)
        .max_by_key(|known| shared(known))
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cuda(index) if *index > 0 => write!(f, "cuda:{index}"),
            other => f.write_str(other.feature()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for name in ["auto", "flex", "ndarray", "wgpu", "cuda", "cuda:3"] {
            let choice: DeviceChoice = name.parse().unwrap();
            assert_eq!(choice.to_string(), name);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones_and_the_nearest() {
        for (name, nearest) in [
            ("gpu", None),
            ("cudo", Some("cuda")),
            ("flex:1", Some("flex")),
            ("cuda:x", Some("cuda")),
        ] {
            let error = name.parse::<DeviceChoice>().unwrap_err();
            assert!(
                matches!(&error, PolicyError::UnknownDevice { nearest: n, .. } if *n == nearest),
                "{error}"
            );
            assert!(error.to_string().contains("flex, ndarray, wgpu and cuda"), "{error}");
        }
    }

    #[test]
    fn a_device_that_is_not_compiled_in_names_its_feature() {
        let missing = PREFERENCE.iter().filter(|(_, built)| !built);
        for (choice, _) in missing {
            let error = choice.open().unwrap_err().to_string();
            assert!(error.contains(&format!("--features {}", choice.feature())), "{error}");
        }
    }

    #[test]
    fn auto_opens_the_first_device_of_this_build() {
        assert_eq!(DeviceChoice::Auto.resolve(), DeviceChoice::compiled_in()[0]);
        assert!(!DeviceChoice::Auto.open().unwrap().is_autodiff());
        // A CPU's name is the system's business.
        assert!(!DeviceChoice::Auto.on_host() || DeviceChoice::Auto.hardware().is_none());
    }

    #[test]
    fn another_device_has_to_be_clearly_faster() {
        let (flex, wgpu) = (DeviceChoice::Flex, DeviceChoice::Wgpu);
        assert_eq!(DeviceChoice::fastest(&[(wgpu, 110.0), (flex, 100.0)]), Some(flex));
        assert_eq!(DeviceChoice::fastest(&[(wgpu, 130.0), (flex, 100.0)]), Some(wgpu));
        assert_eq!(DeviceChoice::fastest(&[(wgpu, 1.0)]), Some(wgpu));
        assert_eq!(DeviceChoice::fastest(&[]), None);
    }

    /// Does `test`, of this name, in a process of its own: a panic anywhere in this one, where other tests
    /// run, would be taken for the driver's.
    fn alone(name: &str, test: impl FnOnce()) {
        const ALONE: &str = "ELEGANTE_TEST_ALONE";
        if std::env::var_os(ALONE).is_some() {
            return test();
        }
        let mut process = std::process::Command::new(std::env::current_exe().unwrap());
        let name = format!("device::tests::{name}");
        let ended = process.args(["--exact", &name]).env(ALONE, "").output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn a_panicking_driver_becomes_an_error() {
        alone("a_panicking_driver_becomes_an_error", || {
            let reason = quietly(|| -> Device { panic!("no adapter\nand a long trace") });
            assert_eq!(reason.unwrap_err(), "no adapter");
        });
    }

    #[test]
    fn the_reason_is_that_of_the_thread_that_failed_first() {
        alone("the_reason_is_that_of_the_thread_that_failed_first", first_to_fail);
    }

    fn first_to_fail() {
        let reason = quietly(|| {
            let (answer, asked) = std::sync::mpsc::channel::<Device>();
            let runtime = std::thread::spawn(move || {
                let _answer = answer;
                panic!("no such card");
            });
            assert!(runtime.join().is_err());
            asked.recv().unwrap()
        });
        assert_eq!(reason.unwrap_err(), "no such card");
    }
}
