//! What passages tell, and of whom.

use super::source::Source;
use super::words::{ADJECTIVES, ANIMALS, COLOURS, DAYS, JOBS, MONTHS, NOUNS};

/// Something that can be told about a subject. In the templates `{0}` is the subject, `{1}` the value, and `{2}` any noun.
pub(super) struct Attribute {
    /// What the subject is: one of [`SUBJECTS`].
    pub(super) subject: Subject,
    pub(super) value: fn(&mut Source) -> String,
    /// Ways to tell it; the first is also how the model answers, and says what was asked before it says the value.
    pub(super) statements: &'static [&'static str],
    pub(super) questions: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Person,
    Place,
    Thing,
    Project,
    Event,
    /// Whatever is told may be told of all of these.
    Any,
}

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::Person,
    Subject::Place,
    Subject::Thing,
    Subject::Project,
    Subject::Event,
];

pub(super) const ATTRIBUTES: &[Attribute] = &[
    Attribute {
        subject: Subject::Person,
        value: Source::city,
        statements: &["{} lives in {}.", "The home of {} is in {}."],
        questions: &[
            "Where does {} live?",
            "In which city does {} live?",
            "Tell me where {} lives.",
        ],
    },
    Attribute {
        subject: Subject::Person,
        value: |source| source.number(5, 99).to_string(),
        statements: &["The age of {} is {}.", "{} is {} years old."],
        questions: &["How old is {}?", "What is the age of {}?"],
    },
    Attribute {
        subject: Subject::Person,
        value: |source| source.pick(JOBS).to_owned(),
        statements: &["{} works as a {}.", "The job of {} is {}."],
        questions: &["What does {} do?", "What is the job of {}?", "What does {} work as?"],
    },
    Attribute {
        subject: Subject::Person,
        value: |source| source.pick(COLOURS).to_owned(),
        statements: &["The favorite color of {} is {}.", "{0}'s favorite color is {1}."],
        questions: &[
            "What is the favorite color of {}?",
            "Which color does {} like most?",
            "What is {}'s favorite color?",
        ],
    },
    Attribute {
        subject: Subject::Person,
        value: |source| format!("{} named {}", source.pick(ANIMALS), source.person()),
        statements: &["{} keeps a {}.", "{} has a {}."],
        questions: &[
            "Which pet does {} have?",
            "What animal does {} have?",
            "What pet does {} keep?",
        ],
    },
    Attribute {
        subject: Subject::Person,
        value: |source| format!("{}", source.number(1, 999)),
        statements: &["The office of {} is room {}.", "{} sits in room {}."],
        questions: &[
            "Where is the office of {}?",
            "In which room is {}?",
            "What is the room of {}?",
        ],
    },
    Attribute {
        subject: Subject::Person,
        value: |source| format!("{}-{}", source.number(100, 999), source.number(1000, 9999)),
        statements: &["The phone number of {} is {}.", "You can reach {} at {}."],
        questions: &[
            "What is the phone number of {}?",
            "How can I reach {}?",
            "What is {}'s phone number?",
        ],
    },
    Attribute {
        subject: Subject::Place,
        value: Source::code,
        statements: &[
            "The code of {} is {}.",
            "To enter {}, use the code {}.",
            "{}'s code is {}.",
        ],
        questions: &[
            "What is the code of {}?",
            "Which code opens {}?",
            "What is the code for {}?",
            "How do I enter {}?",
        ],
    },
    Attribute {
        subject: Subject::Place,
        value: |source| source.pick(COLOURS).to_owned(),
        statements: &["The door of {} is {}.", "{} has a {} door."],
        questions: &["What color is the door of {}?", "Which color does the door of {} have?"],
    },
    Attribute {
        subject: Subject::Place,
        value: |source| format!("{}", source.number(1, 30)),
        statements: &["{} is on floor {}.", "You find {} on floor {}."],
        questions: &["On which floor is {}?", "Where is {}?", "Which floor is {} on?"],
    },
    Attribute {
        subject: Subject::Place,
        value: Source::person,
        statements: &["The owner of {} is {}.", "{} belongs to {}."],
        questions: &["Who owns {}?", "Who is the owner of {}?", "To whom does {} belong?"],
    },
    Attribute {
        subject: Subject::Place,
        value: Source::code,
        statements: &["The password of {} is {}.", "The password for {} is {}."],
        questions: &[
            "What is the password of {}?",
            "What is the password for {}?",
            "Tell me the password of {}.",
        ],
    },
    Attribute {
        subject: Subject::Thing,
        value: |source| {
            format!(
                "{} {}",
                source.number(2, 999),
                source.pick(&["dollars", "euros", "soles", "coins"])
            )
        },
        statements: &["{} costs {}.", "The price of {} is {}."],
        questions: &[
            "How much is {}?",
            "What does {} cost?",
            "What is the price of {}?",
            "How much does {} cost?",
        ],
    },
    Attribute {
        subject: Subject::Thing,
        value: |source| {
            format!(
                "{} {}",
                source.number(2, 90),
                source.pick(&["grams", "kilos", "pounds"])
            )
        },
        statements: &["{} weighs {}.", "The weight of {} is {}."],
        questions: &[
            "How heavy is {}?",
            "What is the weight of {}?",
            "How much does {} weigh?",
        ],
    },
    Attribute {
        subject: Subject::Thing,
        value: |source| format!("{} and {}", source.pick(NOUNS), source.pick(NOUNS)),
        statements: &["{} is made of {}.", "People make {} of {}."],
        questions: &["What is {} made of?", "Of what is {} made?"],
    },
    Attribute {
        subject: Subject::Thing,
        value: Source::title,
        statements: &["{} is made by {}.", "The maker of {} is {}."],
        questions: &["Who makes {}?", "Who is the maker of {}?"],
    },
    Attribute {
        subject: Subject::Project,
        value: Source::person,
        statements: &["{} is led by {}.", "The leader of {} is {}."],
        questions: &["Who leads {}?", "Who is the leader of {}?", "Who is in charge of {}?"],
    },
    Attribute {
        subject: Subject::Project,
        value: |source| source.number(1950, 2030).to_string(),
        statements: &["{} was founded in {}.", "{} began in {}."],
        questions: &[
            "When was {} founded?",
            "In which year did {} begin?",
            "When did {} begin?",
        ],
    },
    Attribute {
        subject: Subject::Project,
        value: Source::city,
        statements: &["{} is based in {}.", "The main office of {} is in {}."],
        questions: &["Where is {} based?", "Where is the main office of {}?"],
    },
    Attribute {
        subject: Subject::Project,
        value: |source| format!("{} people", source.number(2, 900)),
        statements: &["{} employs {}.", "{} has {}."],
        questions: &[
            "How many people does {} have?",
            "How big is {}?",
            "How many people work for {}?",
        ],
    },
    Attribute {
        subject: Subject::Event,
        value: |source| format!("{} {}", source.pick(MONTHS), source.number(1, 31)),
        statements: &["{} is on {}.", "The date of {} is {}."],
        questions: &["When is {}?", "What is the date of {}?", "On which day is {}?"],
    },
    Attribute {
        subject: Subject::Event,
        value: |source| {
            format!(
                "{} at {}:{}0",
                source.pick(DAYS),
                source.number(1, 23),
                source.number(0, 5)
            )
        },
        statements: &["{} starts on {}.", "The start of {} is on {}."],
        questions: &["When does {} start?", "At what time does {} start?"],
    },
    Attribute {
        subject: Subject::Event,
        value: Source::city,
        statements: &["{} takes place in {}.", "The place of {} is {}."],
        questions: &[
            "Where does {} take place?",
            "Where is {} held?",
            "What is the place of {}?",
        ],
    },
    Attribute {
        subject: Subject::Any,
        value: |source| source.tokens(1, 2),
        statements: &["The {2} of {0} is {1}.", "{0} has the {2} {1}.", "{0}'s {2} is {1}."],
        questions: &[
            "What is the {2} of {0}?",
            "Which {2} does {0} have?",
            "Tell me the {2} of {0}.",
            "What is {0}'s {2}?",
        ],
    },
    Attribute {
        subject: Subject::Any,
        value: Source::code,
        statements: &["The {2} of {0} is {1}.", "You need {1} as the {2} of {0}."],
        questions: &[
            "What is the {2} of {0}?",
            "Which is the {2} of {0}?",
            "What is {0}'s {2}?",
        ],
    },
    Attribute {
        subject: Subject::Any,
        value: |source| {
            source
                .pick(&["north", "south", "east", "west", "left", "right", "top", "back"])
                .to_owned()
        },
        statements: &["The {2} of {0} is in the {1}.", "{0} has a {2} in the {1}."],
        questions: &["Where is the {2} of {0}?", "Where does {0} have a {2}?"],
    },
];

/// A name for a subject of this kind.
pub(super) fn subject(source: &mut Source, kind: Subject) -> String {
    match kind {
        Subject::Person => source.person(),
        Subject::Place => match source.number(0, 5) {
            0 => format!(
                "the {} {}",
                source.pick(ADJECTIVES),
                source.pick(&["room", "house", "gate", "tower"])
            ),
            1 => source.title(),
            _ => {
                let name = source.title();
                format!(
                    "the {name} {}",
                    source.pick(&["room", "vault", "gate", "tower", "station", "house", "lab"])
                )
            }
        },
        Subject::Thing => match source.number(0, 3) {
            0 => format!("the {} {}", source.pick(ADJECTIVES), source.pick(NOUNS)),
            1 => source.title(),
            _ => {
                let name = source.title();
                format!("the {name} {}", source.pick(NOUNS))
            }
        },
        Subject::Project => match source.number(0, 3) {
            0 => format!("Project {}", source.title()),
            1 => format!("{} {}", source.title(), source.pick(&["Inc", "Labs", "Group", "Works"])),
            _ => source.title(),
        },
        Subject::Event | Subject::Any => {
            let name = source.title();
            format!(
                "the {name} {}",
                source.pick(&["meeting", "festival", "race", "concert", "fair", "workshop"])
            )
        }
    }
}

/// What can be told of a subject of this kind.
pub(super) fn attribute(source: &mut Source, kind: Subject) -> usize {
    let own = source.percent(70);
    let wanted = if own { kind } else { Subject::Any };
    let fitting: Vec<usize> = (0..ATTRIBUTES.len())
        .filter(|index| ATTRIBUTES[*index].subject == wanted)
        .collect();
    source.pick(&fitting)
}
