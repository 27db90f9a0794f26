//! Pictures of every size, read as text.

use elegante::env::Scene;
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::{Buffer, Cell},
    style::Color,
};

use super::*;
use crate::{
    output::Tone,
    tui::{
        model::{RunView, Update},
        theme::Colours,
    },
};

const FULL: Theme = Theme { colours: Colours::All, unicode: true };
const PLAIN: Theme = Theme { colours: Colours::None, unicode: false };

/// A training of these seeds in its middle.
fn model(seeds: &[u64], experiment: bool) -> Model {
    let mut model = Model {
        title: "CartPole-v1 · ppo · seed 0 · flex · runs/CartPole-v1-ppo-0-1".into(),
        steps: 100_000,
        threshold: Some(475.0),
        experiment,
        runs: seeds.iter().map(|seed| RunView::new(*seed)).collect(),
        selected: 0,
        overall: None,
        phase: Phase::Training,
        pauses: Default::default(),
        messages: Vec::new(),
        help: false,
        pane: 0,
    };
    for run in &mut model.runs {
        for update in 1..=200_u64 {
            let x = update as f64;
            let own = [("loss", 1.0 / x), ("entropy", 0.7 - x / 400.0), ("approx_kl", 0.01)];
            run.update(Update {
                steps: 256 * update,
                steps_per_second: 40_000.0,
                seconds: 1.28,
                mean_return: 20.0 + 2.0 * x,
                values: &mut own.into_iter().map(|(name, value)| (name.into(), value)),
            });
        }
    }
    model
}

fn sight() -> Sight {
    let mut scene = Scene::new([0.0, 2.0], [0.0, 1.0]);
    scene.rectangle([0.0, 0.0], [1.0, 1.0], [200, 30, 30]);
    Sight {
        of: Some((0, 25_600)),
        scene: Some(scene),
        episode: 3,
        length: 120,
        episode_return: 120.0,
        trouble: None,
    }
}

fn picture(model: &Model, theme: Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, &sight(), theme)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let lines = buffer.content().chunks(usize::from(buffer.area().width.max(1)));
    lines.map(|line| line.iter().map(Cell::symbol).collect::<String>() + "\n").collect()
}

fn assert_shown(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
}

#[test]
fn a_large_terminal_shows_everything() {
    let text = text(&picture(&model(&[0], false), FULL, (120, 40)));
    assert_shown(
        &text,
        &[
            "CartPole-v1 · ppo · seed 0",
            "training ",
            "━━━",
            "51 % · 51.2k/100k steps · 40.0k/s · 1.3 s · 1.2 s left",
            "return, mean of the last 100 episodes",
            "420.0",
            "policy after 25.6k steps",
            "episode 3 · step 120 · return 120",
            "last update",
            "approx_kl",
            "0.0100",
            "█",
            "▀",
            "p pause  c checkpoint  s stop  q close the view  ? help",
        ],
    );
    // What moves is drawn: Braille dots of the curve.
    assert!(text.chars().any(|letter| ('\u{2801}'..='\u{28ff}').contains(&letter)), "{text}");
}

#[test]
fn eighty_columns_are_enough_for_all_panes() {
    let text = text(&picture(&model(&[0], false), FULL, (80, 24)));
    let panes = ["mean return", "policy after", "last update", "entropy", "? help"];
    assert_shown(&text, &panes);
}

#[test]
fn a_small_terminal_shows_one_pane_at_a_time() {
    let mut model = model(&[0], false);
    let shown = ["mean return", "policy after", "last update", "mean return"];
    for (pane, title) in shown.into_iter().enumerate() {
        model.pane = pane;
        let text = text(&picture(&model, FULL, (40, 12)));
        assert_shown(&text, &[title, "51 %", "tab pane", "p pause"]);
        let others = shown.iter().filter(|other| **other != title);
        others.for_each(|other| assert!(!text.contains(other), "{other} in\n{text}"));
    }
}

#[test]
fn seeds_have_a_line_each_and_the_chosen_one_is_always_to_be_seen() {
    let seeds: Vec<u64> = (0..20).collect();
    let mut model = model(&seeds, true);
    model.overall = Some("3 of 20 seeds over · 17 % · 12 s left".into());
    model.runs[0].state = State::Over("500.0 ± 0.0 [500, 500]".into());
    model.runs[1].state = State::Failed;
    model.runs[2].state = State::Paused;
    model.runs[3] = RunView::new(3);
    let first = text(&picture(&model, FULL, (120, 40)));
    assert_shown(&first, &["3 of 20 seeds over", "500.0 ± 0.0", "failed", "paused", "waiting"]);
    assert_shown(&first, &["▸      0", "last update of seed 0", "↑↓ seed", "seed 0: 420.0"]);
    model.selected = 19;
    assert_shown(&text(&picture(&model, FULL, (120, 40))), &["▸     19", "seed 19"]);
    assert_shown(&text(&picture(&model, FULL, (80, 24))), &["▸     19", "last update of seed 19"]);
}

#[test]
fn no_size_and_no_state_is_too_much() {
    let mut empty = model(&[0], false);
    empty.runs = vec![RunView::new(0)];
    let mut odd = model(&[0], false);
    odd.steps = 0;
    odd.threshold = None;
    for y in [f64::NAN, f64::INFINITY, -1e300, 1e300, 0.0] {
        odd.runs[0].curve.push(60_000.0, y);
        odd.runs[0].values[0].1.push(60_000.0, y);
    }
    let mut none = model(&[], true);
    none.selected = 7;
    let mut helped = model(&[0, 1, 2], true);
    (helped.help, helped.phase) = (true, Phase::Stopping);
    for tone in [Tone::Note, Tone::Warning, Tone::Failure] {
        helped.say(tone, "something that is much longer than any small terminal");
    }
    for model in [empty, odd, none, helped] {
        for theme in [FULL, PLAIN] {
            for width in [0, 1, 8, 9, 20, 40, 62, 72, 80, 200] {
                for height in [0, 1, 3, 4, 6, 12, 16, 20, 24, 70] {
                    for pane in 0..4 {
                        let model = Model { pane, ..model.clone() };
                        picture(&model, theme, (width, height));
                    }
                }
            }
        }
    }
}

#[test]
fn plain_terminals_get_ascii_and_no_colours() {
    for experiment in [false, true] {
        let mut model = model(&[0, 1], experiment);
        model.help = experiment;
        model.runs[1].state = State::Over("500.0 ± 0.0 [500, 500]".into());
        for size in [(120, 40), (80, 24), (40, 12)] {
            let buffer = picture(&model, PLAIN, size);
            let text = text(&buffer);
            assert!(text.is_ascii(), "{text}");
            let coloured =
                |cell: &&Cell| [cell.fg, cell.bg].iter().any(|colour| *colour != Color::Reset);
            assert!(!buffer.content().iter().any(|cell| coloured(&cell)), "{text}");
        }
    }
    // With letters but no colours the policy is drawn in dots.
    let dotted = Theme { colours: Colours::None, unicode: true };
    assert_shown(&text(&picture(&model(&[0], false), dotted, (120, 40))), &["⣿"]);
}

#[test]
fn messages_and_help_are_to_be_seen() {
    let mut model = model(&[0], false);
    model.say(Tone::Warning, "no space left on device");
    model.phase = Phase::Paused;
    let shown = text(&picture(&model, FULL, (100, 30)));
    assert_shown(&shown, &["no space left on device", " paused ", "p go on"]);
    model.help = true;
    assert_shown(&text(&picture(&model, FULL, (100, 30))), &["Ctrl-C twice: at once", "train on"]);
}

#[test]
fn words_without_room_are_left_out_as_a_whole() {
    let text = "51 % · 40.0k/s · 1.2 s left";
    for (room, first, shown) in [
        (27, 2, text),
        (26, 2, "51 % · 1.2 s left"),
        (16, 2, "1.2 s left"),
        (3, 2, "1.2 s left"),
        (26, 1, "51 % · 40.0k/s"),
        (13, 1, "51 %"),
    ] {
        assert_eq!(shortened(text, room, first), shown);
    }
}
