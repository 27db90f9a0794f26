//! `elegante algos`.

use elegante::experiment::{ALGORITHMS, json_line};
use serde::Serialize;

use crate::{args::ListArgs, exit::Outcome, output::Output};

pub(crate) fn run(args: ListArgs, output: &mut Output) -> anyhow::Result<Outcome> {
    let paint = output.paint;
    for info in ALGORITHMS {
        if args.json {
            let settings = info.settings.iter().map(|setting| setting.name).collect();
            let (id, summary, source) = (info.id, info.summary, info.source);
            let row = Row { id, summary, source, actions: info.actions, settings };
            output.line(&json_line("algorithm", &row))?;
        } else {
            output.line(&paint.bold(info.id))?;
            output.line(&format!("  {}", info.summary))?;
            output.line(&format!("  actions: {}", info.actions.join(", ")))?;
            output.line(&paint.dim(&format!("  {}", info.source)))?;
        }
    }
    if !args.json {
        output.line("\nTheir settings, explained: elegante config CartPole-v1 --algo <ALGO>")?;
    }
    Ok(Outcome::Complete)
}

#[derive(Serialize)]
struct Row {
    id: &'static str,
    summary: &'static str,
    source: &'static str,
    actions: &'static [&'static str],
    settings: Vec<&'static str>,
}
