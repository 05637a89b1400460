//! The text format of Prometheus, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::registry::{Family, Kind, Series};

/// Its content type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes every metric that has a value.
pub(super) fn render(families: &BTreeMap<String, Family>) -> String {
    let mut text = String::new();
    for (name, family) in families {
        if family.series.is_empty() {
            continue;
        }
        if !family.help.is_empty() {
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = writeln!(text, "# HELP {name} {help}");
        }
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(text, "# TYPE {name} {kind}");
        for (labels, series) in &family.series {
            let labels: Vec<_> = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", label_value(value)))
                .collect();
            let labels = labels.join(",");
            match series {
                Series::Counter(count) => line(&mut text, name, "", &labels, count.load(Ordering::Acquire)),
                Series::Gauge(bits) => {
                    let value = Number(f64::from_bits(bits.load(Ordering::Acquire)));
                    line(&mut text, name, "", &labels, value);
                }
                Series::Histogram(buckets) => {
                    let snapshot = buckets.snapshot();
                    let separator = if labels.is_empty() { "" } else { "," };
                    for (bound, count) in snapshot.cumulative {
                        let labels = format!("{labels}{separator}le=\"{bound}\"");
                        line(&mut text, name, "_bucket", &labels, count);
                    }
                    let all = format!("{labels}{separator}le=\"+Inf\"");
                    line(&mut text, name, "_bucket", &all, snapshot.count);
                    line(&mut text, name, "_sum", &labels, Number(snapshot.sum));
                    line(&mut text, name, "_count", &labels, snapshot.count);
                }
            }
        }
    }
    text
}

/// A name as the format allows it; OpenTelemetry's dots become underscores.
pub(super) fn metric_name(name: &str) -> String {
    allowed(name, |c| c == ':')
}

/// A label's name as the format allows it.
pub(super) fn label_name(name: &str) -> String {
    allowed(name, |_| false)
}

fn allowed(name: &str, also: fn(char) -> bool) -> String {
    let mut allowed: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' || also(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if allowed.is_empty() || allowed.starts_with(|c: char| c.is_ascii_digit()) {
        allowed.insert(0, '_');
    }
    allowed
}

fn label_value(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn line(text: &mut String, name: &str, suffix: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = if labels.is_empty() {
        writeln!(text, "{name}{suffix} {value}")
    } else {
        writeln!(text, "{name}{suffix}{{{labels}}} {value}")
    };
}

/// A number, with infinities as the format spells them.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            number => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use metrics::{Unit, counter, describe_counter, describe_histogram, gauge, histogram, with_local_recorder};

    use super::super::registry::Registry;
    use super::*;

    #[test]
    fn every_kind_is_written_as_the_format_has_it() {
        let registry = Registry::default();
        with_local_recorder(&registry, || {
            describe_counter!("unused_total", "never counted");
            describe_counter!("odd.name_total", "two\nlines and a \\");
            counter!("odd.name_total", "a.b" => "quote \" backslash \\ line\nbreak").increment(2);
            gauge!("level").set(f64::INFINITY);
            describe_histogram!("tokens", Unit::Count, "how many");
            histogram!("tokens", "type" => "input").record(3.0);
        });
        let text = registry.render();
        let head = "# TYPE level gauge\n\
             level +Inf\n\
             # HELP odd_name_total two\\nlines and a \\\\\n\
             # TYPE odd_name_total counter\n\
             odd_name_total{a_b=\"quote \\\" backslash \\\\ line\\nbreak\"} 2\n\
             # HELP tokens how many\n\
             # TYPE tokens histogram\n\
             tokens_bucket{type=\"input\",le=\"1\"} 0\n\
             tokens_bucket{type=\"input\",le=\"4\"} 1\n";
        assert!(text.starts_with(head), "{text}");
        let tail = "tokens_bucket{type=\"input\",le=\"+Inf\"} 1\n\
             tokens_sum{type=\"input\"} 3\n\
             tokens_count{type=\"input\"} 1\n";
        assert!(text.ends_with(tail), "{text}");
        assert_eq!(metric_name("9 lives"), "_9_lives");
    }
}
