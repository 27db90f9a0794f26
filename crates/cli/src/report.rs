//! `elegante report`.

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::Context;
use elegante::{
    env::{Scene, render::rasterise},
    experiment::{Film, NamedFigure, Player, Report, Run, Source},
    kernels::set_instructions,
    policy::write_atomic,
};

use crate::{
    args::{PNG_SCALE, ReportArgs, device},
    exit::{Misuse, Outcome},
    output::Output,
    play::{film, frames, size, word},
    program::Program,
    text::{grouped, reward},
};

/// The longer side of a film's pictures, in pixels.
const LONGER: f64 = 320.0;
/// Steps shown in a second.
const FPS: u32 = 50;
/// Pictures of a film at most.
const PICTURES: usize = 250;
/// Steps of an episode that are filmed at most.
const STEPS: usize = 3_000;

pub(crate) fn run(
    args: &ReportArgs,
    program: &Program,
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    spare_what_is_not_ours(&args.out)?;
    let mut report = Report::read(&args.runs, &program.registry)?;
    if !args.no_film {
        report.films = report.sources().iter().map(|source| film_of(source, program)).collect();
    }
    let page = report.to_html();
    write_atomic(&args.out, page.as_bytes())?;
    let (path, kib) = (args.out.display(), grouped(page.len() as u64 / 1024));
    output.line(&format!("{path}: {kib} KiB, for any browser"))?;
    let figures = report.figures();
    if let Some(dir) = &args.svg {
        write_all(dir, "svg", &figures, output, |it| Ok(it.figure.to_svg().into_bytes()))?;
    }
    if let Some(dir) = &args.png {
        write_all(dir, "png", &figures, output, |it| Ok(it.figure.to_png(PNG_SCALE)?))?;
    }
    Ok(Outcome::Complete)
}

/// An older report is replaced; any other file is somebody's.
fn spare_what_is_not_ours(path: &Path) -> anyhow::Result<()> {
    let mut head = Vec::new();
    match fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut head)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| path.display().to_string())?,
    };
    let ours = String::from_utf8_lossy(&head).contains("name=\"generator\" content=\"elegante ");
    if ours || head.is_empty() {
        return Ok(());
    }
    let words = "is there already and is not a report of elegante: give --out another file";
    Err(Misuse(format!("{} {words}", path.display())).into())
}

fn write_all(
    dir: &Path,
    ending: &str,
    figures: &[NamedFigure],
    output: &mut Output,
    bytes: impl Fn(&NamedFigure) -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    for figure in figures {
        let file: PathBuf = dir.join(format!("{}.{ending}", figure.name));
        write_atomic(&file, &bytes(figure)?)?;
    }
    Ok(output.line(&format!("{}: {} figures", dir.display(), figures.len()))?)
}

/// An episode of the policy that stands for a source, or why there is none.
fn film_of(source: &Source, program: &Program) -> Result<Film, String> {
    let (seed, dir) =
        source.representative().ok_or("There is no policy yet: none of its runs has saved one.")?;
    let filmed = shoot(seed, dir, program);
    filmed.map_err(|error| format!("There is no film: {error:#}."))
}

fn shoot(seed: u64, dir: &Path, program: &Program) -> anyhow::Result<Film> {
    let run = Run::open(dir, &program.registry, device("auto")?)?;
    set_instructions(run.config.kernels);
    let env = run.env_factory(&program.registry)?()?;
    let mut player = Player::new(&run.policy, env, run.config.train.run.seed, false);
    let no_picture = || format!("{} has no picture to show", run.config.env);
    player.begin(0)?;
    let mut scenes = vec![(player.scene().with_context(no_picture)?, false)];
    let (sum, ending) = loop {
        let moment = player.step()?;
        let last = moment.ending.is_some() || moment.length == STEPS;
        scenes.push((player.scene().with_context(no_picture)?, last));
        if last {
            break (moment.episode_return, moment.ending);
        }
    };
    let steps = scenes.len() - 1;
    let stride = steps.div_ceil(PICTURES).max(2);
    let shown = |(at, (_, last)): &(usize, &(Scene, bool))| at % stride == 0 || *last;
    let shown: Vec<(Scene, bool)> =
        scenes.iter().enumerate().filter(shown).map(|(_, scene)| scene.clone()).collect();
    let (width, height) = size(&scenes[0].0, LONGER);
    let still = frames::encode(&rasterise(&scenes[0].0, width.into(), height.into()))?;
    let (sum, steps) = (reward(sum), grouped(steps as u64));
    let ending = ending.map_or("cut off here", word);
    let caption = format!("seed {seed}: return {sum} in {steps} steps, {ending}");
    let gif = film::encode(&shown, LONGER, FPS, stride)?;
    Ok(Film { gif, still, size: (width, height), caption })
}
