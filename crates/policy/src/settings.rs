//! Plain configuration structs whose documentation is data: the doc comment of a field is also the
//! comment above it in a configuration file, and its name is what an error message suggests.

/// One setting, as a configuration file shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub name: &'static str,
    /// The field's documentation, a line each.
    pub doc: &'static [&'static str],
}

/// A configuration struct that knows its own fields.
pub trait Settings {
    /// Its fields, in the order in which they are declared.
    const SETTINGS: &'static [Setting];
}

/// Declares a configuration struct: fields with documentation, type and default value. Unknown keys
/// are errors, missing ones take the default.
///
/// ```
/// use elegante_policy::{Settings, settings};
///
/// settings! {
///     /// How to brew.
///     pub struct Tea {
///         /// Minutes to wait.
///         pub minutes: f64 = 3.0,
///         /// With milk?
///         pub milk: bool = false,
///     }
/// }
///
/// assert_eq!(Tea::default().minutes, 3.0);
/// assert_eq!(Tea::SETTINGS[1].name, "milk");
/// assert_eq!(Tea::SETTINGS[0].doc, [" Minutes to wait."]);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:expr])*
        pub struct $name:ident {
            $( $(#[doc = $doc:expr])+ pub $field:ident : $type:ty = $default:expr ),+ $(,)?
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )+ }
            }
        }

        impl $crate::Settings for $name {
            const SETTINGS: &'static [$crate::Setting] = &[
                $( $crate::Setting { name: stringify!($field), doc: &[$($doc),+] }, )+
            ];
        }
    };
}
