// SPDX-License-Identifier: GPL-2.0-or-later
//! Colours.

use clap::ValueEnum;
use ratatui::style::{Color, Modifier, Style};

/// Colours for one kind of terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Theme {
    /// For a dark background
    Dark,
    /// For a light background
    Light,
    /// No colours
    Mono,
}

impl Theme {
    /// What is used if nothing is asked for.
    pub(super) fn of_environment() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if no_colour { Self::Mono } else { Self::Dark }
    }

    /// The one after it.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Dark => Self::Light,
            Self::Light => Self::Mono,
            Self::Mono => Self::Dark,
        }
    }

    /// Of titles and heads of tables.
    pub(super) fn title(self) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        match self {
            Self::Dark => bold.fg(Color::Cyan),
            Self::Light => bold.fg(Color::Blue),
            Self::Mono => bold,
        }
    }

    /// Of what is not so important.
    pub(super) fn quiet(self) -> Style {
        match self {
            Self::Dark => Style::new().fg(Color::DarkGray),
            Self::Light => Style::new().fg(Color::Gray),
            Self::Mono => Style::new().add_modifier(Modifier::DIM),
        }
    }

    /// Of what must be seen.
    pub(super) fn alarm(self) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        match self {
            Self::Dark | Self::Light => bold.fg(Color::Red),
            Self::Mono => bold.add_modifier(Modifier::REVERSED),
        }
    }

    /// Of a share, from 0 to 1.
    pub(super) fn share(self, share: f64) -> Style {
        let colour = match self {
            Self::Mono => return Style::new(),
            _ if share >= 0.9 => Color::Red,
            _ if share >= 0.6 => Color::Yellow,
            _ => Color::Green,
        };
        Style::new().fg(colour)
    }
}
