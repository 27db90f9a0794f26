//! `docs/environments.md` against what it speaks of: every piece of Rust in it stands in an example that
//! is compiled and run, and its table is the registry's.

use elegante::env::{DynEnv, Entry, EnvOption, Registry};

const STORY: &str = include_str!("../docs/environments.md");
const EXAMPLES: [&str; 2] =
    [include_str!("../examples/custom_env.rs"), include_str!("../examples/own_binary.rs")];

/// What stands between the fences of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("\n```{language}\n");
    STORY.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// Lines without the indentation that they share.
fn level(lines: &[&str]) -> Vec<String> {
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let shared = lines.iter().filter(|line| !line.is_empty()).map(indent).min().unwrap_or(0);
    lines.iter().map(|line| line.get(shared..).unwrap_or_default().to_owned()).collect()
}

fn stands_in(block: &str, file: &str) -> bool {
    let (block, file) =
        (level(&block.lines().collect::<Vec<_>>()), file.lines().collect::<Vec<_>>());
    file.windows(block.len()).any(|window| level(window) == block)
}

#[test]
fn every_piece_of_rust_stands_in_an_example() {
    let blocks = blocks("rust");
    assert!(blocks.len() >= 10, "{} pieces", blocks.len());
    for block in blocks {
        let found = EXAMPLES.iter().any(|file| stands_in(block, file));
        assert!(found, "no example has this any more:\n{block}");
    }
}

#[test]
fn quotes_are_compared_line_by_line() {
    assert!(stands_in("let a = 1;\n    b();", "x\n        let a = 1;\n            b();\ny"));
    assert!(!stands_in("let a = 1;\nb();", "        let a = 1;\n            b();"));
    assert!(!stands_in("let a = 1;", "let a = 1; // and more"));
}

#[test]
fn the_table_is_the_registrys() {
    let registry = Registry::standard();
    let mut table = String::from(
        "| environment | what it is | observations | actions | steps | solved at | options |\n|-|-|-|-|-|-|-|\n",
    );
    registry.iter().for_each(|entry| table.push_str(&row(entry)));
    let written = STORY.split("\n\n").last().unwrap_or_default();
    assert!(written == table, "docs/environments.md should end with this table:\n\n{table}");
}

fn row(entry: &Entry) -> String {
    let env = entry.make(&toml::Table::new()).unwrap_or_else(|error| panic!("{error}"));
    let number = |n: Option<String>| n.unwrap_or_else(|| "–".into());
    let options: Vec<String> = entry.options().iter().map(option).collect();
    format!(
        "| `{}` | {} | {} | {} | {} | {} | {} |\n",
        entry.id(),
        entry.summary(),
        env.observation_space(),
        env.action_space(),
        number(entry.step_limit().map(|n| n.to_string())),
        number(entry.threshold().map(|x| x.to_string())),
        if options.is_empty() { "–".into() } else { options.join(", ") },
    )
}

/// What an option is called and usually is, if that is soon said.
fn option(option: &EnvOption) -> String {
    let usual = option.default.to_string();
    let usual = if usual.len() > 60 { "…" } else { &usual };
    format!("`{} = {usual}`", option.name)
}
