//! Names that a caller may have meant.

/// How alike two names must be to be suggested, from 0 to 1.
const ALIKE: f64 = 0.7;
/// How many names an error lists.
const MOST: usize = 5;

/// The end of a sentence about an unknown name: the near names, or else some of those there are.
pub(crate) fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    known.dedup();
    let mut near: Vec<(f64, &str)> = known
        .iter()
        .map(|other| (likeness(name, other), *other))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    if near.is_empty() {
        return match known.len() {
            0 => "; no model is available".to_owned(),
            count if count <= MOST => format!("; available: {}", list(known.iter().copied())),
            count => format!(
                "; available: {} and {} more",
                list(known.iter().copied().take(MOST)),
                count - MOST
            ),
        };
    }
    format!(
        "; did you mean {}?",
        list(near.into_iter().take(MOST).map(|(_, name)| name))
    )
}

/// Compares whole names, and their last parts: who writes `llama` may mean `vllm/llama`.
fn likeness(name: &str, known: &str) -> f64 {
    let (name, known) = (name.to_lowercase(), known.to_lowercase());
    let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    strsim::normalized_damerau_levenshtein(&name, &known)
        .max(strsim::normalized_damerau_levenshtein(&last(&name), &last(&known)))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first() {
        let known = ["vllm/llama-3.2-3b", "openai/gpt-4o", "tiny"];
        assert_eq!(
            hint("llama-3.2-3B", known.into_iter()),
            "; did you mean `vllm/llama-3.2-3b`?"
        );
        assert_eq!(hint("tinny", known.into_iter()), "; did you mean `tiny`?");
        assert_eq!(
            hint("zzz", known.into_iter()),
            "; available: `openai/gpt-4o`, `tiny`, `vllm/llama-3.2-3b`"
        );
        assert_eq!(hint("zzz", std::iter::empty()), "; no model is available");
    }
}
