//! `report`: one page, and figures for papers.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::Value;

use crate::harness::{Place, contents};

/// Two small experiments of PPO and A2C.
fn experiments(place: &Place) {
    let args = "--steps 3000 --set eval_episodes=5 --seeds 0..3 -q";
    place.ok(&format!("train CartPole-v1 --out ppo {args}"));
    place.ok(&format!("train CartPole-v1 --algo a2c --out a2c {args}"));
}

/// Elements that have no end tag, or need none in SVG.
const VOID: [&str; 6] = ["br", "img", "meta", "source", "link", "input"];

/// Checks that every element ends where it should, and returns the names of all of them.
fn elements(html: &str) -> BTreeSet<String> {
    let (mut open, mut seen) = (Vec::<String>::new(), BTreeSet::new());
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a page begins with its type");
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        let name = |tag: &str| tag.split_whitespace().next().unwrap_or_default().to_owned();
        if let Some(ended) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(ended), "in {:?}", &rest[..rest.len().min(200)]);
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = name(tag.trim_end_matches('/'));
        if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name.clone());
        }
        seen.insert(name);
    }
    assert!(open.is_empty(), "{open:?} never end");
    seen
}

/// The text of every cell of the row that begins with `first`, in each table that has one.
fn rows(html: &str, first: &str) -> Vec<Vec<String>> {
    let text = |cell: &str| cell.split_once('>').unwrap().1.trim().to_owned();
    let row = |row: &str| -> Vec<String> {
        row.split("</td>")
            .flat_map(|part| part.split("</th>"))
            .filter(|c| c.contains('>'))
            .map(|c| {
                let from = c.rfind("<t").unwrap_or(0);
                text(&c[from..])
            })
            .collect()
    };
    let all = html.split("<tr>").skip(1).map(|part| row(part.split("</tr>").next().unwrap()));
    all.filter(|cells: &Vec<String>| cells.first().is_some_and(|cell| cell == first)).collect()
}

#[test]
fn a_report_is_one_page_that_has_everything() {
    let place = Place::new();
    experiments(&place);
    let told = place.ok("report ppo a2c").out;
    assert!(told.starts_with("report.html: ") && told.contains("KiB"), "{told}");
    let html = place.text("report.html");
    let elements = elements(&html);
    for element in ["svg", "table", "img", "picture", "details", "title", "desc"] {
        assert!(elements.contains(element), "no {element}");
    }
    assert!(!elements.contains("script") && !elements.contains("link"));
    for outside in ["http://", "https://", "url(", "@import", "src=\"/", "file:"] {
        assert!(!html.contains(outside), "{outside} is in it");
    }
    for heading in [
        "Learning curves",
        "Final evaluation",
        "Performance profiles",
        "Probability of improvement",
        "Health of the training",
        "What differs",
        "What is the same",
        "An episode",
    ] {
        assert!(html.contains(heading), "no {heading}");
    }
    for key in ["‹algo›.n_steps", "‹algo›.epochs", "algo", "network.hidden"] {
        assert!(html.contains(&format!("<code>{key}</code>")), "{key}");
    }
    let info = place.run_json("ppo/seed-0");
    for key in ["version", "commit", "machine"] {
        assert!(html.contains(info[key].as_str().unwrap()), "{key}");
    }
    assert!(html.contains("name=\"viewport\"") && html.contains("prefers-color-scheme:dark"));
    assert_eq!(html.matches("data:image/gif;base64,R0lGOD").count(), 2, "a film of each");

    // Ids are there once, and what points to one finds it.
    let ids: Vec<&str> =
        html.split(" id=\"").skip(1).map(|part| part.split('"').next().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    for link in html.split("href=\"#").skip(1) {
        assert!(ids.contains(&link.split('"').next().unwrap()));
    }

    // The same runs, the same page.
    place.ok("report ppo a2c --out again.html");
    assert!(place.text("again.html") == html);
}

#[test]
fn its_numbers_are_those_of_the_summary() {
    let place = Place::new();
    experiments(&place);
    place.ok("report ppo a2c --no-film");
    let html = place.text("report.html");
    assert!(!html.contains("An episode"));
    for name in ["ppo", "a2c"] {
        let summary: Value =
            serde_json::from_str(&place.text(&format!("{name}/summary.json"))).unwrap();
        let overall = &rows(&html, name)[0];
        assert_eq!(overall[1], "3 of 3");
        for (cell, key) in overall[2..5].iter().zip(["iqm", "mean", "median"]) {
            let numbers: Vec<f64> =
                cell.split([' ', '[', ']', ',']).filter_map(|part| part.parse().ok()).collect();
            let expected = ["value", "low", "high"].map(|end| summary[key][end].as_f64().unwrap());
            for (said, expected) in numbers.iter().zip(expected) {
                assert!((said - expected).abs() <= 0.0501, "{name}, {key}: {cell}");
            }
            assert_eq!(numbers.len(), 3, "{cell}");
        }
        for seed in summary["seeds"].as_array().unwrap() {
            let number = |key: &str| seed["evaluation"][key].as_f64().unwrap();
            let mean = format!("{:.1} ± {:.1}", number("mean_return"), number("std_return"));
            let listed = rows(&html, &seed["seed"].to_string());
            assert!(listed.iter().any(|row| row[1] == mean), "{name}: no {mean} in {listed:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn names_are_text_whatever_they_say() {
    let place = Place::new();
    let name = "<b>&\"x\"";
    place.train("run", "--steps 500");
    std::fs::rename(place.path("run"), place.path(name)).unwrap();
    place.train("other", "--steps 500");
    let ran = place.command("report other").arg(name).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let html = place.text("report.html");
    elements(&html);
    assert!(html.contains("&lt;b&gt;&amp;&quot;x&quot;") && !html.contains("<b>"));
}

#[test]
fn what_is_not_finished_is_shown_as_far_as_it_is() {
    let place = Place::new();
    experiments(&place);
    // One seed that was killed while it wrote, and one that never began.
    for file in ["run.json", "policy.safetensors"] {
        std::fs::remove_file(place.path(&format!("ppo/seed-1/{file}"))).unwrap();
    }
    for (file, rest) in [("episodes.csv", "77,9"), ("metrics.jsonl", "{\"event\":\"upd")] {
        let torn = place.text(&format!("ppo/seed-1/{file}")) + rest;
        place.write(&format!("ppo/seed-1/{file}"), torn);
    }
    std::fs::remove_dir_all(place.path("ppo/seed-2")).unwrap();
    place.ok("report ppo");
    let html = place.text("report.html");
    elements(&html);
    assert_eq!(rows(&html, "ppo")[0][1], "1 of 3");
    let ended = |seed: &str| rows(&html, seed)[0].last().unwrap().clone();
    assert_eq!(["0", "1", "2"].map(ended), ["after all its steps", "not finished", "not finished"]);
    assert!(html.contains("ppo: seed 1, not finished</title>"), "its curve is drawn");

    // A single run that has only just begun.
    std::fs::remove_dir_all(place.path("ppo/seed-0/checkpoints")).unwrap();
    for file in ["run.json", "policy.safetensors"] {
        std::fs::remove_file(place.path(&format!("ppo/seed-0/{file}"))).unwrap();
    }
    place.write("ppo/seed-0/metrics.jsonl", "");
    place.write("ppo/seed-0/episodes.csv", "episode,steps,lane,return,length,ending\n");
    place.ok("report ppo/seed-0 a2c/seed-0");
    let html = place.text("report.html");
    elements(&html);
    assert!(html.contains("There is no policy yet") && html.contains("not finished"));
}

#[test]
fn figures_are_files_of_their_own() {
    let place = Place::new();
    experiments(&place);
    place.ok("report ppo a2c --no-film --png figures --svg figures");
    let names = place.names("figures");
    for name in ["curves", "estimates", "profile", "improvement", "health-grad_norm"] {
        let [png, svg] = ["png", "svg"].map(|ending| format!("{name}.{ending}"));
        assert!(names.contains(&png) && names.contains(&svg), "{name} in {names:?}");
        let bytes = place.bytes(&format!("figures/{png}"));
        let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let svg = place.text(&format!("figures/{svg}"));
        let side = |key: &str| {
            let text = svg.split(&format!(" {key}=\"")).nth(1).unwrap().split('"').next().unwrap();
            text.parse::<f64>().unwrap()
        };
        let size = [side("width"), side("height")].map(|side| (3.0 * side).round() as u32);
        assert_eq!([reader.info().width, reader.info().height], size, "{name}");
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    }
    place.ok("compare ppo a2c --png both.png --svg both.svg");
    assert_eq!(&place.bytes("both.png")[1..4], b"PNG");
}

#[test]
fn runs_on_two_environments_have_a_part_each() {
    let place = Place::new();
    place.train("cart", "--steps 600");
    place.ok("train Pendulum-v1 --steps 600 --set eval_episodes=2 --out pendulum -q");
    place.ok("report cart pendulum --svg figures");
    let html = place.text("report.html");
    elements(&html);
    assert!(
        html.contains("CartPole-v1, Pendulum-v1: ppo</h1>"),
        "{}",
        &html[html.len() / 2..][..80]
    );
    assert!(!html.contains("Probability of improvement"), "there is nothing to compare");
    let names = place.names("figures");
    assert!(names.contains(&"curves-CartPole-v1.svg".to_owned()), "{names:?}");
    assert!(names.contains(&"curves-Pendulum-v1.svg".to_owned()), "{names:?}");
}

#[test]
fn what_makes_no_report_says_why() {
    let place = Place::new();
    place.train("run", "--steps 500");
    std::fs::create_dir(place.path("empty")).unwrap();
    place.write("page.html", "<html>mine</html>");
    for (args, words) in [
        ("report", "<RUN>"),
        ("report nowhere", "nowhere: neither a run nor an experiment nor a search"),
        ("report empty", "empty: neither a run nor an experiment nor a search"),
        ("report run run", "run is given twice"),
        ("report run ./run", "run is given twice"),
        ("report run --out page.html", "page.html is there already"),
    ] {
        let ran = place.run(args);
        assert_eq!(ran.code, Some(2), "{args}: {}", ran.err);
        assert!(ran.err.contains(words), "{args}: no `{words}` in {}", ran.err);
    }
    assert_eq!(place.text("page.html"), "<html>mine</html>");
    let ran = place.run("report run --out no/such/place.html");
    assert!(ran.code == Some(1) && ran.err.contains("no/such/place.html"), "{}", ran.err);
    place.write("run/metrics.jsonl", "{}\nnonsense\n");
    let ran = place.run("report run");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("metrics.jsonl: line 1"), "{}", ran.err);
}

/// A search whose trials take half a second.
const SEARCH: &str =
    "tune CartPole-v1 --set eval_episodes=5 --steps 1500 --jobs 1 --pruner halving";

#[test]
fn a_search_is_shown_beside_a_run_and_by_itself() {
    let place = Place::new();
    place.ok(&format!("{SEARCH} --trials 11 --out search --quiet"));
    place.train("run", "--steps 600");
    let before = contents(&place.path("search"));
    place.ok("report run search --no-film --svg figures --png figures");
    assert!(contents(&place.path("search")) == before, "a report only reads");
    let html = place.text("report.html");
    elements(&html);
    let trials: Vec<Value> = place
        .text("search/trials.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let count = |state| trials.iter().filter(|trial| trial["state"] == state).count();
    let (complete, pruned) = (count("complete"), count("pruned"));
    let told = format!("{complete} complete, {pruned} pruned, 0 failed");
    assert!(complete > 0 && pruned > 0 && html.contains(&told), "no `{told}`");
    assert!(html.contains("<h1>CartPole-v1: ppo, search of ppo</h1>"));
    for heading in [
        "Learning curves",
        "Search: search",
        "The best trial",
        "History",
        "Which settings went along with the return",
        "Evaluations on the way",
        "Trials",
    ] {
        assert!(html.contains(&format!(">{heading}</h")), "no {heading}");
    }
    // Every trial has a point in the history, and a row with its value; a ring is in the readings too.
    for trial in &trials {
        let number = trial["trial"].as_u64().unwrap();
        let told = match trial["value"].as_f64() {
            Some(value) => format!("<title>trial {number}: {}", (value * 10.0).round() / 10.0),
            None => format!("<title>trial {number}, pruned: "),
        };
        assert!(html.contains(&told), "no {told}");
        let value = trial["value"].as_f64().map(|it| ((it * 10.0).round() / 10.0).to_string());
        let rows = rows(&html, &number.to_string());
        let mine = |row: &Vec<String>| value.as_ref().is_none_or(|value| row[1] == *value);
        assert!(rows.iter().any(|row| row.len() > 5 && mine(row)), "trial {number}: {rows:?}");
    }
    let names = place.names("figures");
    for name in ["curves", "search-search-history", "search-search-setting-ppo.gamma"] {
        for ending in ["svg", "png"] {
            assert!(names.contains(&format!("{name}.{ending}")), "{name} in {names:?}");
        }
    }
    let svg = place.text("figures/search-search-history.svg");
    assert_eq!(svg.matches("<title>trial ").count(), 11, "{svg}");

    // With neither a run nor a film.
    place.ok("report search --out alone.html");
    let html = place.text("alone.html");
    elements(&html);
    assert!(html.contains("<h1>CartPole-v1: search of ppo</h1>"));
    assert!(!html.contains("An episode") && !html.contains("#configuration"));
    // Its best trial is an experiment, and has one.
    let best = trials.iter().filter(|it| it["state"] == "complete");
    let best = best.max_by(|a, b| a["value"].as_f64().partial_cmp(&b["value"].as_f64()).unwrap());
    place.ok(&format!("report search search/trial-{} --out film.html", best.unwrap()["trial"]));
    let html = place.text("film.html");
    assert_eq!(html.matches("data:image/gif;base64,R0lGOD").count(), 1);
}

#[test]
fn a_search_at_work_is_shown_as_far_as_it_has_come_and_a_damaged_one_is_named() {
    let place = Place::new();
    let mut child = place
        .command(&format!("{SEARCH} --trials 500 --out search --json"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("\"event\":\"trial\"")), "no trial has ended");
    let ran = place.run("report search");
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(running && ran.code == Some(0), "{}", ran.err);
    let html = place.text("report.html");
    elements(&html);
    assert!(html.contains("not finished: ") && html.contains(" of 500 are over"));

    let torn = place.text("search/trials.jsonl") + "{\"trial\":";
    place.write("search/trials.jsonl", torn);
    let ran = place.run("report search");
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("search/trials.jsonl: ") && ran.err.contains("line "), "{}", ran.err);
    let ran = place.run("report search search");
    assert!(ran.code == Some(2) && ran.err.contains("given twice"), "{}", ran.err);
}
