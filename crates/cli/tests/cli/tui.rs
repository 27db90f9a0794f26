//! `--tui` on a real terminal: the pseudo-terminal is that of util-linux's `script`, what it shows is read by a
//! terminal emulator, and `stty` says afterwards in which state it was left.
#![cfg(target_os = "linux")]

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use crate::harness::{Place, contents};

/// What takes a terminal over, and what gives it back.
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
const PROGRAM: &str = env!("CARGO_BIN_EXE_elegante");

/// A shell on a terminal of its own.
struct Terminal {
    child: Child,
    output: Receiver<Vec<u8>>,
    /// All that has come from it.
    all: Vec<u8>,
    /// What is to be seen of it.
    screen: vt100::Parser,
}

impl Terminal {
    /// Runs a command on a terminal of this many columns and rows; at its end it tells the exit code and the
    /// state of the terminal. Ctrl-C reaches the shell as well: the trap keeps it there to tell them, and is
    /// not inherited by the command as an ignored signal would be.
    fn start(place: &Place, (columns, rows): (u16, u16), run: &str, env: &[(&str, &str)]) -> Self {
        let line =
            format!("trap : INT; stty cols {columns} rows {rows}; {run}; echo code=$?; stty -a");
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--command", &line, "/dev/null"]);
        command.current_dir(place.path("."));
        command
            .env("SHELL", "/bin/sh")
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR");
        command.envs(env.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("`script` of util-linux is needed for this test");
        let mut shown = child.stdout.take().unwrap();
        let (tell, output) = channel();
        thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(read @ 1..) = shown.read(&mut part) {
                // Nobody listens any more to a terminal whose test has failed.
                let _ = tell.send(part[..read].to_vec());
            }
        });
        Self {
            child,
            output,
            all: Vec::new(),
            screen: vt100::Parser::new(rows.try_into().unwrap(), columns.try_into().unwrap(), 0),
        }
    }

    /// Waits until `text` is to be seen.
    fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + Duration::from_secs(120);
        while !self.seen().contains(text) {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(part) => self.see(&part),
                Err(_) => panic!("{text:?} is not seen on\n{}", self.seen()),
            }
        }
    }

    /// The lines on the screen, without blanks at their ends.
    fn seen(&self) -> String {
        let lines = self.screen.screen().contents();
        lines.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn see(&mut self, part: &[u8]) {
        self.all.extend_from_slice(part);
        self.screen.process(part);
    }

    fn press(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(keys.as_bytes()).and_then(|()| input.flush()).unwrap();
    }

    /// All that was shown, up to where the screen was given back and from there on, once the shell has ended.
    /// The terminal must be in good order.
    fn end(mut self, code: u8) -> (String, String) {
        while let Ok(part) = self.output.recv_timeout(Duration::from_secs(120)) {
            self.see(&part);
        }
        self.child.wait().unwrap();
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen() && !screen.hide_cursor(), "{}", screen.contents());
        let all = String::from_utf8_lossy(&self.all).into_owned();
        let (before, after) = all.rsplit_once(LEAVE).expect("a screen is given back");
        assert_eq!((before.matches(ENTER).count(), before.matches(LEAVE).count()), (1, 0), "{all}");
        assert!(after.contains(&format!("code={code}\r\n")), "{after}");
        for mode in ["icanon", "isig", "echo", "opost"] {
            let on = after.split_whitespace().any(|word| word.trim_end_matches(';') == mode);
            assert!(on, "{mode} is off: {after}");
        }
        (before.into(), after.into())
    }
}

/// A training that is watched.
fn watched(more: &str) -> String {
    format!("{PROGRAM} train CartPole-v1 --set eval_episodes=2 --tui {more}")
}

#[test]
fn a_training_that_is_watched_makes_the_same_bytes() {
    let place = Place::new();
    let args = "--steps 8000 --eval-every 4000 --out";
    place.ok(&format!("train CartPole-v1 --set eval_episodes=2 --quiet {args} plain"));
    let terminal = Terminal::start(&place, (100, 30), &watched(&format!("{args} seen")), &[]);
    let (before, after) = terminal.end(0);
    assert!(before.contains("CartPole-v1 · ppo · seed 0 · flex · seen"), "{before}");
    // What a person reads at the end comes after it; so does what was said on the way.
    for text in ["evaluation: ", "trained     ", "run         seen"] {
        assert!(after.contains(text), "{text}: {after}");
    }
    for file in ["policy.safetensors", "best.safetensors", "episodes.csv"] {
        let [a, b] = ["plain", "seen"].map(|run| place.bytes(&format!("{run}/{file}")));
        assert!(a == b, "{file} differs");
    }
    let [a, b] = ["plain", "seen"].map(|run| contents(&place.path(&format!("{run}/checkpoints"))));
    assert!(a.iter().map(|file| &file.1).eq(b.iter().map(|file| &file.1)));
}

#[test]
fn a_terminal_that_is_closed_leaves_the_training_alone() {
    let place = Place::new();
    // A shell and a training that a hang-up does not end.
    let run = format!("trap '' HUP; {}; echo $? > ended", watched("--steps 60000 --out run"));
    let mut terminal = Terminal::start(&place, (80, 24), &run, &[]);
    terminal.wait_for("CartPole-v1 · ppo · seed 0");
    terminal.child.kill().unwrap();
    terminal.child.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    while place.names("").iter().all(|name| name != "ended") {
        assert!(Instant::now() < until, "it goes on for ever");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(place.names("run").iter().any(|name| name == "run.json"));
}

#[test]
fn keys_pause_save_and_stop() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, (80, 24), &watched("--steps 1e9 --out run"), &[]);
    terminal.wait_for("policy after ");
    terminal.wait_for(" episode 1 ");
    terminal.press("p");
    terminal.wait_for(" paused\n");
    terminal.wait_for("p go on");
    terminal.press("c");
    terminal.wait_for("checkpoint written");
    assert_eq!(place.names("run/checkpoints").len(), 1);
    terminal.press("?");
    terminal.wait_for("Ctrl-C twice: at once");
    terminal.press("s");
    terminal.end(130);
    assert_eq!(place.run_json("run")["stop"], "interrupted");
}

#[test]
fn a_view_that_is_closed_lets_the_training_go_on() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, (40, 12), &watched("--steps 1e9 --out run"), &[]);
    terminal.wait_for("mean return");
    terminal.press("\t");
    terminal.wait_for("policy after ");
    terminal.press("q");
    // The usual line of progress takes over, on a terminal on which Ctrl-C is a signal again.
    terminal.wait_for("/s · ret");
    terminal.press("\x03");
    terminal.end(130);
    assert_eq!(place.run_json("run")["stop"], "interrupted");
}

#[test]
fn neither_control_c_nor_kill_leaves_the_terminal_in_disorder() {
    let place = Place::new();
    let mut terminal = Terminal::start(&place, (80, 24), &watched("--steps 1e9 --out a"), &[]);
    terminal.wait_for("last update");
    terminal.press("\x03");
    terminal.end(130);
    assert_eq!(place.run_json("a")["stop"], "interrupted");

    let run = format!("sh -c 'echo $$ >pid; exec {}'", watched("--steps 1e9 --out b"));
    let mut terminal = Terminal::start(&place, (80, 24), &run, &[]);
    terminal.wait_for("last update");
    let pid = place.text("pid");
    assert!(Command::new("kill").args(["-TERM", pid.trim()]).status().unwrap().success());
    terminal.end(130);
    assert_eq!(place.run_json("b")["stop"], "interrupted");
}

#[test]
fn seeds_are_watched_side_by_side() {
    let place = Place::new();
    let args = "--seeds 0..3 --jobs 2 --steps 6000 --out";
    place.ok(&format!("train CartPole-v1 --set eval_episodes=2 --quiet {args} plain"));
    let run = watched(&format!("{args} seen"));
    Terminal::start(&place, (120, 40), &run, &[]).end(0);
    for seed in 0..3 {
        let policy = |of: &str| place.bytes(&format!("{of}/seed-{seed}/policy.safetensors"));
        assert!(policy("plain") == policy("seen"), "seed {seed} differs");
    }
}

#[test]
fn seeds_wait_save_and_stop_together() {
    let place = Place::new();
    let run = watched("--seeds 0..3 --jobs 2 --steps 1e9 --out all");
    let mut terminal = Terminal::start(&place, (120, 40), &run, &[]);
    terminal.wait_for("policy of seed 0 after ");
    terminal.press("j");
    terminal.wait_for("last update of seed 1");
    terminal.wait_for("policy of seed 1 after ");
    terminal.press("p");
    // At the end of the first line: all of them do.
    terminal.wait_for(" paused\n");
    terminal.press("c");
    terminal.wait_for("checkpoint written");
    terminal.press("s");
    let (_, after) = terminal.end(130);
    assert!(after.contains("seed 0    stopped"), "{after}");
    for seed in 0..2 {
        assert_eq!(place.run_json(&format!("all/seed-{seed}"))["stop"], "interrupted");
    }
}

#[test]
fn no_color_and_plain_letters_are_kept_to() {
    let place = Place::new();
    let plain = [("NO_COLOR", "1"), ("LC_ALL", "C")];
    let terminal = Terminal::start(&place, (80, 24), &watched("--steps 6000 --out run"), &plain);
    let (before, _) = terminal.end(0);
    let (_, drawn) = before.split_once(ENTER).unwrap();
    assert!(drawn.is_ascii(), "{drawn}");
    // 39 and 49 are the terminal's own colours.
    for colour in ["\x1b[38;", "\x1b[48;"] {
        assert!(!drawn.contains(colour), "{colour:?} in {drawn:?}");
    }
}

#[test]
fn without_a_terminal_there_is_an_error_and_no_run() {
    let place = Place::new();
    for more in ["", "--seeds 0,1"] {
        let ran = place.run(&format!("train CartPole-v1 --tui --out run {more}"));
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
        assert!(ran.err.contains("--tui draws on a terminal"), "{}", ran.err);
        assert!(!place.path("run").exists());
    }
    let ran = place.run("train CartPole-v1 --tui --json");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("cannot be used with"), "{}", ran.err);
}
