//! What is shown: episodes as text and as film, environments, algorithms, help.

use crate::harness::Place;

#[test]
fn a_pipe_gets_the_evaluations_episodes_step_by_step() {
    let place = Place::new();
    place.train("run", "--steps 2000");
    for (flag, evaluated) in
        [("", "eval run --json"), ("--stochastic", "eval run --json --stochastic")]
    {
        let played = place.ok(&format!("play run --episodes 10 {flag}"));
        let mut rows = played.out.lines();
        assert_eq!(rows.next(), Some("episode step action reward return ending"));
        let mut returns = Vec::new();
        let mut before = 0;
        for row in rows {
            let row: Vec<&str> = row.split(' ').collect();
            let [episode, step, action, reward, sum, ending] = row[..] else { panic!("{row:?}") };
            let step: u32 = step.parse().unwrap();
            assert_eq!((step, reward), (before + 1, "1"), "{row:?}");
            assert_eq!(episode, (returns.len() + 1).to_string());
            assert!(["0", "1"].contains(&action) && sum == step.to_string(), "{row:?}");
            before = if ending == "-" { step } else { 0 };
            if ending != "-" {
                returns.push(f64::from(step));
            }
        }
        let evaluation = place.ok(evaluated).json().pop().unwrap();
        assert_eq!(returns.len(), 10);
        let mean = returns.iter().sum::<f64>() / 10.0;
        assert_eq!(evaluation["mean_return"], mean, "other episodes than the evaluation's");
    }
}

#[test]
fn a_film_is_a_gif_with_a_picture_for_every_other_step() {
    let place = Place::new();
    place.train("run", "--steps 2000");
    let told = place.ok("play run --gif film.gif --seed 3");
    let bytes = place.bytes("film.gif");
    assert_eq!(&bytes[..6], b"GIF89a");
    let mut decoder = gif::DecodeOptions::new().read_info(bytes.as_slice()).unwrap();
    let mut pictures = 0;
    let width = decoder.width();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        assert!(frame.left + frame.width <= width && frame.delay >= 2);
        pictures += 1;
    }
    // The first state, then every second of the steps, then the last.
    let steps = place.ok("play run --seed 3").out.lines().count() - 1;
    assert_eq!(pictures, 1 + steps.div_ceil(2));
    assert!(told.out.contains(&format!("film.gif: {pictures} pictures")), "{}", told.out);
    assert!(told.out.contains(&format!("{steps} steps, terminated")), "{}", told.out);
    let again = place.ok("play run --gif again.gif --seed 3");
    assert!(place.bytes("again.gif") == bytes, "{}", again.out);
}

#[test]
fn a_directory_of_pictures_has_every_state_and_nothing_else() {
    let place = Place::new();
    place.train("run", "--steps 2000");
    let told = place.ok("play run --png-dir a/frames --seed 3 --episodes 2");
    let names = place.names("a/frames");
    // The table has a heading and no row for the first state of either episode.
    let states = place.ok("play run --seed 3 --episodes 2").out.lines().count() - 1 + 2;
    let numbered: Vec<String> = (0..states).map(|i| format!("frame-{i:06}.png")).collect();
    assert_eq!(names, numbered);
    assert!(told.out.contains(&format!("frames: {states} pictures")), "{}", told.out);

    let scene = {
        let mut env = elegante::env::CartPole::default();
        let seed = elegante::trainer::evaluation_seed(3, 0);
        elegante::Env::reset(&mut env, &elegante::Reset::seeded(seed), &mut [0.0; 4]).unwrap();
        elegante::Env::scene(&env).unwrap()
    };
    let first = place.bytes("a/frames/frame-000000.png");
    let mut reader = png::Decoder::new(std::io::Cursor::new(first)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.color_type), (600, png::ColorType::Rgb));
    let drawn = elegante::env::render::rasterise(&scene, 600, info.height as usize);
    assert!(drawn.pixels == pixels, "another picture than the first state's");

    let again = place.run("play run --png-dir a/frames");
    assert_eq!(again.code, Some(2));
    assert!(again.err.contains("a/frames is not empty"), "{}", again.err);
    assert_eq!(place.names("a/frames"), numbered);
    place.write("file", "precious");
    let ran = place.run("play run --png-dir file");
    assert!(ran.code == Some(1) && ran.err.contains("file: "), "{}", ran.err);
}

#[test]
fn environments_and_algorithms_are_listed_for_machines_and_people() {
    let place = Place::new();
    let envs = place.ok("envs --json").json();
    let cartpole = envs.iter().find(|env| env["id"] == "CartPole-v1").unwrap();
    assert_eq!(
        (&cartpole["max_episode_steps"], &cartpole["reward_threshold"]),
        (&500.into(), &475.0.into())
    );
    assert_eq!(cartpole["options"][0]["name"], "sutton_barto_reward");
    let algos = place.ok("algos --json").json();
    assert_eq!(algos[0]["id"], "ppo", "the default is the first");
    assert!(algos[0]["settings"].as_array().unwrap().contains(&"gamma".into()));
    let (envs, algos) = (place.ok("envs").out, place.ok("algos").out);
    assert!(envs.contains("CartPole-v1") && envs.contains("at most 500 steps"), "{envs}");
    assert!(algos.contains("reinforce") && algos.contains("Williams, 1992"), "{algos}");
}

#[test]
fn every_command_teaches() {
    let place = Place::new();
    for command in ["train", "eval", "play", "config"] {
        let help = place.ok(&format!("{command} --help")).out;
        assert!(help.contains("Examples:") && help.contains("elegante "), "{command}: {help}");
    }
    let version = place.ok("--version").out;
    assert_eq!(version.trim(), format!("elegante {}", env!("CARGO_PKG_VERSION")));
}

#[cfg(unix)]
#[test]
fn a_reader_who_has_had_enough_does_not_spoil_the_run() {
    let place = Place::new();
    let script = format!(
        "{} train CartPole-v1 --json --steps 6000 --out run | head -n 1",
        env!("CARGO_BIN_EXE_elegante")
    );
    let mut shell = std::process::Command::new("sh");
    let ran = shell.args(["-c", &script]).current_dir(place.path("")).output().unwrap();
    assert!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(place.run_json("run")["stop"], "budget");
}
