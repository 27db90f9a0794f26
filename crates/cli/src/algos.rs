//! `elegante algos`.

use elegante::experiment::{ALGORITHMS, json_line};
use serde::Serialize;

use crate::{args::ListArgs, exit::Outcome, output::Output, program::Program};

pub(crate) fn run(
    args: ListArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
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
        let name = &program.name;
        output.line(&format!("\nTheir settings, explained: {name} config <ENV> --algo <ALGO>"))?;
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
