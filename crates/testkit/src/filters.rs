//! Random attributes, and filters that let some of them through.

use puna_api::{AttributeValue, Attributes, Filter};

/// The names of attributes. Filters go by all but the last.
const NAMES: [&str; 4] = ["a", "b c", "a.b", "c"];

/// How deep filters are nested.
const MAX_DEPTH: usize = 4;

/// A few attributes of a chunk, of every type, with names and texts that are easily taken for something else.
pub fn random_attributes(random: &mut fastrand::Rng) -> Attributes {
    let mut attributes = Attributes::new();
    for name in NAMES {
        if random.u8(0..4) > 0 {
            attributes.insert(name.to_owned(), value(random));
        }
    }
    attributes
}

/// A filter of any operator, with others within it.
pub fn random_filter(random: &mut fastrand::Rng) -> Filter {
    filter(random, 0)
}

fn value(random: &mut fastrand::Rng) -> AttributeValue {
    match random.u8(0..5) {
        0 => random.bool().into(),
        1 | 2 => number(random).into(),
        _ => ["a", "", "A", "true", "1", "1.0", "\"", "a b"][random.usize(0..8)]
            .to_owned()
            .into(),
    }
}

fn number(random: &mut fastrand::Rng) -> f64 {
    f64::from(random.i8(-3..3)) / if random.bool() { 10.0 } else { 1.0 }
}

fn filter(random: &mut fastrand::Rng, depth: usize) -> Filter {
    let key = NAMES[random.usize(0..NAMES.len() - 1)].to_owned();
    let bound = number(random);
    let nested = |random: &mut fastrand::Rng| (0..random.usize(0..4)).map(|_| filter(random, depth + 1)).collect();
    let values = |random: &mut fastrand::Rng| (0..random.usize(0..4)).map(|_| value(random)).collect();
    match random.u8(0..if depth < MAX_DEPTH { 12 } else { 8 }) {
        0 => Filter::Eq {
            key,
            value: value(random),
        },
        1 => Filter::Ne {
            key,
            value: value(random),
        },
        2 => Filter::Gt { key, value: bound },
        3 => Filter::Gte { key, value: bound },
        4 => Filter::Lt { key, value: bound },
        5 => Filter::Lte { key, value: bound },
        6 => Filter::In {
            key,
            value: values(random),
        },
        7 => Filter::Nin {
            key,
            value: values(random),
        },
        8 | 9 => Filter::And {
            filters: nested(random),
        },
        _ => Filter::Or {
            filters: nested(random),
        },
    }
}
