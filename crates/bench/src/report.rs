//! The report of the gateway benchmark: a Markdown table, and JSON with the figures of each round.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use crate::affinity::Cores;
use crate::error::{Context as _, Result};
use crate::gateway::{Figures, GatewayOptions, Measure, Reading, SubjectName, Target};
use crate::machine::Machine;
use crate::statistics::Summary;

/// From here on mock and load are taken to be what limits a throughput, in percent of their core.
const SATURATED_PERCENT: f64 = 97.0;

/// Everything that a report tells.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// What was asked for.
    pub(crate) options: &'a GatewayOptions,
    /// Where it ran.
    pub(crate) machine: &'a Machine,
    /// Which core did what.
    pub(crate) cores: Cores,
    /// The version of nginx, if it was there.
    pub(crate) nginx_version: Option<&'a str>,
    /// What was measured.
    pub(crate) figures: &'a Figures,
}

/// Tells the person who waits how far it is.
pub(crate) fn say(message: &str) {
    // A benchmark goes on when nobody reads its progress.
    let _ = writeln!(std::io::stderr(), "puna-bench: {message}");
}

/// Writes a result to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .while_trying(|| "write to standard output".into())
}

impl Report<'_> {
    /// Prints the table and what one must know to read it.
    pub(crate) fn print(&self) -> Result<()> {
        print(&self.to_text())
    }

    fn to_text(&self) -> String {
        let Self {
            options,
            machine,
            cores,
            ..
        } = self;
        let subjects: Vec<SubjectName> = SubjectName::ALL
            .into_iter()
            .filter(|subject| {
                self.figures
                    .measures()
                    .any(|measure| !self.figures.rounds(measure, *subject).is_empty())
            })
            .collect();
        let mut header = vec![String::new()];
        header.extend(subjects.iter().map(|subject| subject.as_str().to_owned()));
        header.extend(["puna, compared", "least to greatest", "target", "met"].map(str::to_owned));
        let mut rows = vec![header];
        for measure in self.figures.measures() {
            let mut row = vec![measure.title().to_owned()];
            row.extend(subjects.iter().map(|subject| self.shown(measure, *subject)));
            row.extend(self.compared(measure));
            rows.push(row);
        }
        let shared = if machine.cores_share_hardware {
            "; the two cores are threads of one physical core, so take care with these figures"
        } else {
            ""
        };
        let saturated = self.saturated();
        format!(
            "{}\n{}, {} cores, Linux {}, load average {} before; server on core {}, mock and load on core {}{shared}\n\
             nginx {}; {} rounds of {} s\n{saturated}",
            table(&rows),
            machine.processor,
            machine.core_count,
            machine.kernel,
            machine.load_average,
            cores.server,
            cores.load,
            self.nginx_version.unwrap_or("absent"),
            options.rounds,
            options.duration.as_secs_f64(),
        )
    }

    /// A warning when mock and load had so little time left that a server may have waited for them.
    fn saturated(&self) -> String {
        let busy = |subject: &SubjectName| {
            self.figures
                .shown(Measure::LoadBusy, *subject)
                .is_some_and(|summary| summary.median > SATURATED_PERCENT)
        };
        let names: Vec<&str> = SubjectName::ALL[1..]
            .iter()
            .filter(|subject| busy(subject))
            .map(|subject| subject.as_str())
            .collect();
        match names.is_empty() {
            true => String::new(),
            false => format!(
                "mock and load had no time left at 32 connections behind {}: its throughput may be theirs\n",
                names.join(" and ")
            ),
        }
    }

    fn shown(&self, measure: Measure, subject: SubjectName) -> String {
        let Some(summary) = self.figures.shown(measure, subject) else {
            return "-".into();
        };
        let is_added = measure.reading() == Reading::MultipleOfAdded && subject != SubjectName::Direct;
        let sign = if is_added && summary.median >= 0.0 { "+" } else { "" };
        with_unit(&format!("{sign}{}", number(summary.median)), measure.unit())
    }

    /// How the server compares, from least to greatest, what is aimed at, and whether that is met.
    fn compared(&self, measure: Measure) -> [String; 4] {
        let (before, unit) = match measure.reading() {
            Reading::MultipleOfAdded | Reading::Fraction => ("", "x"),
            Reading::Over => ("+", measure.unit()),
            Reading::Alone => ("", measure.unit()),
        };
        let figure = |figure: f64| {
            let sign = if figure >= 0.0 { before } else { "" };
            let digits = if unit == "x" {
                format!("{figure:.2}")
            } else {
                number(figure)
            };
            if unit == "x" {
                format!("{digits}x")
            } else {
                with_unit(&format!("{sign}{digits}"), unit)
            }
        };
        let target = match measure.target() {
            Target::AtMost(most) => format!("<= {}", figure(most)),
            Target::AtLeast(least) => format!(">= {}", figure(least)),
            Target::None => "-".into(),
        };
        let compared = self.figures.compared(measure, SubjectName::Puna);
        let Some(summary) = Summary::of(&compared) else {
            return ["-".into(), "-".into(), target, "-".into()];
        };
        let met = match measure.target().is_met(summary.median) {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        let range = format!("{} to {}", figure(summary.least), figure(summary.greatest));
        [figure(summary.median), range, target, met.into()]
    }

    /// All figures of all rounds.
    pub(crate) fn to_json(&self) -> Value {
        let Self {
            options,
            machine,
            cores,
            ..
        } = self;
        let mut measures = Map::new();
        for measure in self.figures.measures() {
            let mut rounds = Map::new();
            for subject in SubjectName::ALL {
                let figures = self.figures.rounds(measure, subject);
                if !figures.is_empty() {
                    rounds.insert(subject.as_str().into(), json!(figures));
                }
            }
            let (reading, target) = (reading_name(measure.reading()), measure.target());
            let summary = Summary::of(&self.figures.compared(measure, SubjectName::Puna));
            measures.insert(
                measure.key().into(),
                json!({
                    "title": measure.title(),
                    "unit": measure.unit(),
                    "rounds": rounds,
                    "reading": reading,
                    "compared": summary.map(|summary| json!({
                        "median": summary.median, "least": summary.least, "greatest": summary.greatest,
                    })),
                    "target": match target {
                        Target::AtMost(most) => json!({"at_most": most}),
                        Target::AtLeast(least) => json!({"at_least": least}),
                        Target::None => Value::Null,
                    },
                    "met": summary.and_then(|summary| target.is_met(summary.median)),
                }),
            );
        }
        json!({
            "machine": {
                "processor": machine.processor,
                "cores": machine.core_count,
                "kernel": machine.kernel,
                "load_average_before": machine.load_average,
                "server_core": cores.server,
                "load_core": cores.load,
                "cores_share_hardware": machine.cores_share_hardware,
            },
            "nginx": self.nginx_version,
            "rounds": options.rounds,
            "seconds": options.duration.as_secs_f64(),
            "peer": options.peer,
            "log_filter": options.log_filter,
            "measures": measures,
        })
    }
}

fn reading_name(reading: Reading) -> &'static str {
    match reading {
        Reading::MultipleOfAdded => "multiple_of_what_nginx_adds",
        Reading::Fraction => "fraction_of_nginx",
        Reading::Over => "over_nginx",
        Reading::Alone => "alone",
    }
}

fn with_unit(number: &str, unit: &str) -> String {
    match unit {
        "" => number.to_owned(),
        "/s" | "%" => format!("{number}{unit}"),
        _ => format!("{number} {unit}"),
    }
}

/// With thousands set apart, and as many digits behind the point as its size deserves.
fn number(figure: f64) -> String {
    let digits = match figure.abs() {
        size if size >= 100.0 || size == size.trunc() => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let plain = format!("{figure:.digits$}");
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut text = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// Markdown with its columns in line; the first to the left, the others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(String::len)
                .max()
                .unwrap_or(0)
                .max(3)
        })
        .collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        for (column, width) in widths.iter().enumerate() {
            let cell = row.get(column).map_or("", String::as_str);
            let padded = if column == 0 {
                format!("| {cell:<width$} ")
            } else {
                format!("| {cell:>width$} ")
            };
            text.push_str(&padded);
        }
        text.push_str("|\n");
        if index == 0 {
            for (column, width) in widths.iter().enumerate() {
                let line = "-".repeat(width + 1);
                text.push_str(&if column == 0 {
                    format!("|-{line}")
                } else {
                    format!("|{line}:")
                });
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_they_deserve() {
        for (figure, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (1.234, "1.23"),
            (-1.236, "-1.24"),
            (12.34, "12.3"),
            (123.4, "123"),
            (-999.6, "-1,000"),
            (87_654.3, "87,654"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(number(figure), expected);
        }
    }

    #[test]
    fn a_table_is_markdown_in_line() {
        let rows = [vec!["".into(), "nginx".into()], vec!["latency".into(), "1 us".into()]];
        assert_eq!(
            table(&rows),
            "|         | nginx |\n|---------|------:|\n| latency |  1 us |\n"
        );
    }
}
