//! What a server says of itself at `/metrics`.

use std::net::SocketAddr;

use crate::client::Client;
use crate::error::{Error, Result};

/// Everything that a server measured up to a moment.
#[derive(Debug, Clone)]
pub(crate) struct Scrape(Vec<Series>);

#[derive(Debug, Clone)]
struct Series {
    name: String,
    /// What stands between the braces.
    labels: String,
    value: f64,
}

impl Scrape {
    /// Asks a server.
    pub(crate) fn of(address: SocketAddr) -> Result<Self> {
        let text = Client::connect(address)?.get("/metrics")?;
        Ok(Self::parse(&String::from_utf8_lossy(&text)))
    }

    /// Whether the server measures this.
    pub(crate) fn tells(&self, metric: &str) -> bool {
        self.0.iter().any(|series| series.name == metric)
    }

    /// The sum of a metric over all of its series.
    ///
    /// # Errors
    /// When the server does not measure it.
    pub(crate) fn total(&self, metric: &str) -> Result<f64> {
        self.sum(metric, |_| true)
            .ok_or_else(|| Error::new(format!("/metrics does not tell {metric}")))
    }

    /// The sum of a metric over its series that have this label.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn labelled(&self, metric: &str, label: &str, value: &str) -> Result<f64> {
        let wanted = format!("{label}=\"{value}\"");
        self.sum(metric, |labels| labels.split(',').any(|label| label == wanted))
            .ok_or_else(|| Error::new(format!("/metrics does not tell {metric}{{{wanted}}}")))
    }

    fn sum(&self, metric: &str, is_wanted: impl Fn(&str) -> bool) -> Option<f64> {
        self.0
            .iter()
            .filter(|series| series.name == metric && is_wanted(&series.labels))
            .map(|series| series.value)
            .reduce(|one, other| one + other)
    }

    /// The text format of Prometheus, of which commas within a label's value are not understood: what is asked for has none.
    pub(crate) fn parse(text: &str) -> Self {
        let series = |line: &str| {
            let (key, value) = line.rsplit_once(' ')?;
            let (name, labels) = match key.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}')?),
                None => (key, ""),
            };
            Some(Series {
                name: name.to_owned(),
                labels: labels.to_owned(),
                value: value.parse().ok()?,
            })
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(series).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_added_up_by_name_and_label() {
        let scrape = Scrape::parse(
            "# TYPE seconds histogram\nseconds_sum{stage=\"read\"} 1.5\nseconds_sum{a=\"b\",stage=\"embed\"} 2\n\
             seconds_sum{a=\"c\",stage=\"embed\"} 0.25\nseconds_summary{stage=\"read\"} 7\nfiles_total 3\n",
        );
        assert_eq!(scrape.total("files_total").unwrap(), 3.0);
        assert_eq!(scrape.total("seconds_sum").unwrap(), 3.75);
        assert_eq!(scrape.labelled("seconds_sum", "stage", "embed").unwrap(), 2.25);
        assert!(scrape.tells("seconds_summary") && !scrape.tells("seconds"));
        let error = scrape.labelled("seconds_sum", "stage", "store").unwrap_err();
        assert_eq!(error.to_string(), "/metrics does not tell seconds_sum{stage=\"store\"}");
        assert!(scrape.total("seconds").is_err());
    }
}
