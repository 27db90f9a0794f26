//! What the terminal can show.

use std::env;

use ratatui::{
    style::{Color, Modifier, Style},
    symbols::{Marker, border},
};

use crate::output::Paint;

/// Which colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// Any red, green and blue.
    All,
    /// The palette of 256.
    Palette,
    /// None: the terminal has few, or `NO_COLOR` is set.
    None,
}

/// Colours and letters to draw with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    pub(super) colours: Colours,
    /// Whether there are more letters than those of ASCII.
    pub(super) unicode: bool,
}

impl Theme {
    /// By what the environment says of the terminal.
    pub(super) fn of_terminal() -> Self {
        let named = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let colours = match (named("COLORTERM").as_deref(), named("TERM")) {
            _ if !Paint::stderr().is_on() => Colours::None,
            (Some("truecolor" | "24bit"), _) => Colours::All,
            (_, Some(term)) if term.contains("256color") => Colours::Palette,
            // Terminals of Windows say nothing of themselves and have all of them.
            (_, None) if cfg!(windows) => Colours::All,
            _ => Colours::None,
        };
        // The first that is set counts, as for the C library.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(named);
        let unicode = match locale {
            Some(locale) => {
                let locale = locale.to_ascii_lowercase();
                locale.contains("utf-8") || locale.contains("utf8")
            }
            None => cfg!(any(windows, target_os = "macos")),
        };
        Self { colours, unicode }
    }

    fn with(self, colour: Color) -> Style {
        match self.colours {
            Colours::None => Style::new(),
            _ => Style::new().fg(colour),
        }
    }

    pub(super) fn accent(self) -> Style {
        self.with(Color::Cyan)
    }

    pub(super) fn good(self) -> Style {
        self.with(Color::Green)
    }

    pub(super) fn attention(self) -> Style {
        self.with(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    pub(super) fn bad(self) -> Style {
        self.with(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Of lines to measure by, in dots that know colours only.
    pub(super) fn guide(self) -> Style {
        self.with(Color::DarkGray)
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Of the curve of the run in this place; neighbours differ.
    pub(super) fn curve(self, place: usize) -> Style {
        const COLOURS: [Color; 6] =
            [Color::Cyan, Color::Magenta, Color::Green, Color::Yellow, Color::Blue, Color::Red];
        self.with(COLOURS[place % COLOURS.len()])
    }

    pub(super) fn borders(self) -> border::Set<'static> {
        if self.unicode { border::ROUNDED } else { ASCII }
    }

    pub(super) fn marker(self) -> Marker {
        if self.unicode { Marker::Braille } else { Marker::Custom('*') }
    }

    /// Of lines to measure by.
    pub(super) fn guide_marker(self) -> Marker {
        if self.unicode { Marker::Braille } else { Marker::Custom('-') }
    }

    /// From the smallest value to the largest.
    pub(super) fn bars(self) -> &'static [char] {
        if self.unicode {
            &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
        } else {
            &['_', '.', '-', '=', '*', '#']
        }
    }

    /// `text`, or what comes closest in ASCII.
    pub(super) fn words(self, text: &str) -> String {
        if self.unicode {
            return text.to_owned();
        }
        let plain = |letter: char| match letter {
            '·' | '…' => '.',
            '─' | '–' | '−' => '-',
            '↑' => '^',
            '↓' => 'v',
            '±' => '~',
            letter if letter.is_ascii() => letter,
            _ => '?',
        };
        text.chars().map(plain).collect()
    }
}

const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
