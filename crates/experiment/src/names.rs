//! The known names nearest to one that is not known.

/// How many suggestions an error makes.
const SUGGESTIONS: usize = 3;

/// The known names most like `given`, the nearest first. Of dotted names the last part alone may
/// match: `gamma` finds `reinforce.gamma`, and so do its initials where a name has several words.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut scored: Vec<_> = known.into_iter().map(|name| (likeness(given, name), name)).collect();
    // Ties stay in the order of the configuration file.
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().take(SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}

fn likeness(given: &str, name: &str) -> f64 {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let (given, name) = (plain(given), plain(name));
    let (mine, its) = (last_part(&given), last_part(&name));
    let initials: String = its.split('_').filter_map(|word| word.chars().next()).collect();
    let whole = strsim::normalized_damerau_levenshtein(&given, &name);
    let part = 0.98 * strsim::normalized_damerau_levenshtein(mine, its);
    let short = if initials.len() > 1 && initials == mine { 0.9 } else { 0.0 };
    whole.max(part).max(short)
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = [
        "steps",
        "network.hidden",
        "reinforce.gamma",
        "reinforce.learning_rate",
        "reinforce.value_learning_rate",
    ];

    #[test]
    fn the_nearest_comes_first() {
        for (given, first) in [
            ("step", "steps"),
            ("gamma", "reinforce.gamma"),
            ("reinforce.gama", "reinforce.gamma"),
            ("network.steps", "steps"),
            ("learning-rate", "reinforce.learning_rate"),
            ("lr", "reinforce.learning_rate"),
            ("hiden", "network.hidden"),
        ] {
            assert_eq!(nearest(given, KNOWN)[0], first, "for {given}");
        }
    }
}
