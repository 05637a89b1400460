//! What the rounds of the engine benchmark gave.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::engine::streams::Streams;
use crate::report::table;
use crate::statistics::Summary;

/// All figures of one model.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// By the number of streams.
    speeds: BTreeMap<usize, Speeds>,
    rows: Vec<Row>,
}

/// A figure that stands for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row {
    /// Tokens that were made after the time in which a cancelled request must stop.
    Cancelled(u64),
    /// Bytes by which memory grows with each request.
    Memory(f64),
}

#[derive(Debug, Default)]
struct Speeds {
    direct: Side,
    server: Side,
}

/// One value a round.
#[derive(Debug, Default)]
struct Side {
    tokens_per_second: Vec<f64>,
    first_token_milliseconds: Vec<f64>,
}

impl Figures {
    pub(crate) fn add(&mut self, streams: usize, through_server: bool, run: &Streams) {
        let speeds = self.speeds.entry(streams).or_default();
        let side = if through_server {
            &mut speeds.server
        } else {
            &mut speeds.direct
        };
        side.tokens_per_second.push(run.tokens as f64 / run.took.as_secs_f64());
        // The first of those that began together waited for nobody.
        let first = run.first_tokens.iter().min();
        side.first_token_milliseconds
            .extend(first.map(|first| first.as_secs_f64() * 1e3));
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    pub(crate) fn table(&self, model: &Path) -> String {
        let name = model.file_name().unwrap_or_default().to_string_lossy();
        let mut rows = vec![
            [&*name, "direct", "puna", "compared", "target", "met"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for (streams, speeds) in &self.speeds {
            let many = if *streams == 1 { "stream" } else { "streams" };
            let of = |values: &[f64]| Summary::of(values).map_or(f64::NAN, |summary| summary.median);
            let (direct, server) = (
                of(&speeds.direct.tokens_per_second),
                of(&speeds.server.tokens_per_second),
            );
            let ratio = server / direct;
            rows.push(vec![
                format!("{streams} {many}: tokens/s"),
                format!("{direct:.1}"),
                format!("{server:.1}"),
                format!("{:.1} %", ratio * 100.0),
                ">= 98 %".to_owned(),
                met(ratio >= 0.98),
            ]);
            if *streams == 1 {
                let direct = of(&speeds.direct.first_token_milliseconds);
                let server = of(&speeds.server.first_token_milliseconds);
                rows.push(vec![
                    "1 stream: time to first token".to_owned(),
                    format!("{direct:.2} ms"),
                    format!("{server:.2} ms"),
                    format!("{:+.2} ms", server - direct),
                    "<= +1 ms".to_owned(),
                    met(server - direct <= 1.0),
                ]);
            }
        }
        for row in &self.rows {
            let (title, value, target, is_met) = match row {
                Row::Cancelled(tokens) => (
                    "cancelled: tokens made later than 100 ms after",
                    tokens.to_string(),
                    "0",
                    *tokens == 0,
                ),
                // A request may not leave as much as the least that an allocator hands out for it.
                Row::Memory(bytes) => (
                    "memory grows with each request by",
                    format!("{bytes:.0} B"),
                    "<= 64 B",
                    *bytes <= 64.0,
                ),
            };
            let cells = [title, "", &value, "", target].map(str::to_owned);
            rows.push(cells.into_iter().chain([met(is_met)]).collect());
        }
        table(&rows)
    }

    pub(crate) fn to_json(&self) -> Value {
        let side = |side: &Side| {
            json!({
                "tokens_per_second": side.tokens_per_second,
                "first_token_milliseconds": side.first_token_milliseconds,
            })
        };
        let speeds = self.speeds.iter().map(|(streams, speeds)| {
            json!({ "streams": streams, "direct": side(&speeds.direct), "puna": side(&speeds.server) })
        });
        let others = self.rows.iter().map(|row| match row {
            Row::Cancelled(tokens) => json!({ "tokens_after_cancel": tokens }),
            Row::Memory(bytes) => json!({ "bytes_per_request": bytes }),
        });
        json!({ "speeds": speeds.collect::<Vec<_>>(), "others": others.collect::<Vec<_>>() })
    }
}

fn met(is_met: bool) -> String {
    if is_met { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_table_compares_medians() {
        let mut figures = Figures::default();
        for (through_server, seconds, first) in [(false, 1.0, 10), (true, 1.25, 12), (false, 1.0, 10), (true, 1.25, 12)]
        {
            figures.add(
                1,
                through_server,
                &Streams {
                    tokens: 100,
                    took: Duration::from_secs_f64(seconds),
                    first_tokens: vec![Duration::from_millis(first)],
                },
            );
        }
        figures.push(Row::Cancelled(0));
        figures.push(Row::Memory(1000.0));
        let table = figures.table(Path::new("/x/tiny"));
        for part in ["tiny", "100.0", "80.0", "80.0 %", "+2.00 ms", "1000 B"] {
            assert!(table.contains(part), "{part}:\n{table}");
        }
        assert_eq!(table.matches(" yes").count(), 1, "{table}");
        assert_eq!(figures.to_json()["speeds"][0]["puna"]["tokens_per_second"][1], 80.0);
    }
}
